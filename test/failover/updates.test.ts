// Which updates the partner has yet to hear of, and what it said of those it refused (failover.md §7).

import t from 'tap';
import { Updates } from '../../src/failover/updates.js';
import { REJECT_NUMBERS } from '../../src/wire/partner-values.js';

const ADDRESS = 0x0a4d_0064;
const sent = { sentAt: 1, revision: 5, petAt: 0, bindingStartAt: 0 };

/** Tell it, and have this answer. */
function told(updates: Updates, rejectReason: number, revision = 5): void {
  updates.changed(ADDRESS, 1);
  updates.sent(ADDRESS, { ...sent, revision });
  updates.answered([{ address: ADDRESS, revision, rejectReason, text: '' }]);
}

t.test('a lease that the partner has for another client is contested until it is told of anew', async (t) => {
  const updates = new Updates();
  told(updates, REJECT_NUMBERS['fatal-conflict']);
  t.ok(updates.isContested(ADDRESS, 5));
  t.ok(updates.wasRefused(ADDRESS, 5));
  updates.linkLost(1);
  t.ok(updates.isContested(ADDRESS, 5), 'out of contact neither server renews it');
  t.notOk(updates.wasRefused(ADDRESS, 5), 'on a new connection it is told once more');
  told(updates, 0);
  t.notOk(updates.isContested(ADDRESS, 5));
  told(updates, REJECT_NUMBERS['fatal-conflict']);
  t.notOk(updates.isContested(ADDRESS, 6), 'another record of the address');
  updates.cancel(ADDRESS);
  t.notOk(updates.isContested(ADDRESS, 5), "the partner's word took its place");
  told(updates, REJECT_NUMBERS['outdated-information']);
  t.notOk(updates.isContested(ADDRESS, 5), 'an older word is no dispute');
});

// Since a greeting waits for the disk itself, no seed of the simulator sees this rule broken any more.
t.test('what is told again on a new connection waits for all that was to be on disk (rule C)', async (t) => {
  const updates = new Updates();
  updates.changed(ADDRESS, 3);
  t.same(updates.ready(2, 10), []);
  t.same(updates.ready(3, 10), [ADDRESS]);
  updates.sent(ADDRESS, sent);
  updates.linkLost(7);
  t.same(updates.ready(6, 10), [], 'the record may have changed since, up to commit 7');
  t.same(updates.ready(7, 10), [ADDRESS]);
  updates.changed(ADDRESS + 1, 5);
  told(updates, REJECT_NUMBERS['outdated-information']);
  updates.linkLost(9);
  t.same(updates.ready(8, 10), []);
  t.same(updates.ready(9, 10), [ADDRESS, ADDRESS + 1], 'and so does what was refused');
});

t.test('once settings are agreed on, what was refused on account of them is told again', async (t) => {
  for (const reason of ['illegal-address', 'not-reserved-here'] as const) {
    const updates = new Updates();
    told(updates, REJECT_NUMBERS[reason]);
    updates.settingsChanged(3);
    t.same(updates.ready(3, 10), [ADDRESS], reason);
    t.notOk(updates.wasRefused(ADDRESS, 5), `${reason}: it may be accepted now`);
  }
});

t.test('and what was refused for what the partner knows stays answered', async (t) => {
  for (const reason of ['outdated-information', 'fatal-conflict', 'less-critical-information'] as const) {
    const updates = new Updates();
    told(updates, REJECT_NUMBERS[reason]);
    updates.settingsChanged(3);
    t.same(updates.ready(3, 10), [], reason);
    t.ok(updates.wasRefused(ADDRESS, 5), `${reason}: the partner's own word may take its place`);
  }
});
