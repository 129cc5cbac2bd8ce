// The secrets that came about at run time: for how long an invitation is good, what is kept and for whom it can be read,
// and what becomes of a word that a person chose.

import { hkdfSync } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { derivedSecret, givenSecret, isShortSecret } from '../../src/shell/manage-psk.js';
import { INVITATION_MS, SecretBook } from '../../src/shell/secret-book.js';

const hex = (octet: number) => octet.toString(16).padStart(2, '0').repeat(32);
const secret = (octet: number) => Buffer.from(hex(octet), 'hex');

/** Runs with the wall clock set so far ahead. */
function later<T>(t: Test, ms: number, look: () => T): T {
  const { now } = Date;
  Date.now = () => now() + ms;
  t.teardown(() => {
    Date.now = now;
  });
  const seen = look();
  Date.now = now;
  return seen;
}

t.test(
  'an invitation that nobody took up is worth nothing after a day; one that was taken up stays',
  async (t) => {
    const book = new SecretBook(t.testdir());
    book.invite(secret(1));
    book.invite(secret(2));
    book.meet(secret(2), 'dhcp2');
    const opens = () => book.manageKeys().map(({ partner }) => Buffer.from(partner.secret).toString('hex'));
    t.same(opens().sort(), [hex(1), hex(2)]);
    t.same(later(t, INVITATION_MS - 60_000, opens).sort(), [hex(1), hex(2)]);
    t.same(later(t, INVITATION_MS + 60_000, opens), [hex(2)]);
  },
);

t.test('what is kept: on disk, for this user only, gone with its relationship', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'partner-secrets.json');
  const book = new SecretBook(folder);
  book.keep('r1', secret(3));
  book.keep('r1', secret(4));
  book.stands(new Set(['r1']));
  t.equal(statSync(file).mode & 0o777, 0o600);
  const again = new SecretBook(folder);
  const secured = [{ name: 'pair', id: 'r1', authenticated: true }];
  t.same(again.credentials(secured, []), [
    { relationship: 'pair', secret: secret(4), previousSecret: secret(3) },
  ]);
  again.forgetBut(new Set());
  t.same(again.credentials(secured, []), []);
  t.notMatch(readFileSync(file, 'utf8'), new RegExp(`${hex(3)}|${hex(4)}`));
});

t.test('a short word is mixed with the partner secret, and is worth nothing without it', async (t) => {
  const partner = { server: null, secret: secret(5) };
  const word = 'sEcReT';
  t.ok(isShortSecret(word));
  const made = givenSecret(partner, 'r1', word);
  const info = 'tandem partner management 1 relationship r1 with a word';
  t.same(made, Buffer.from(hkdfSync('sha256', partner.secret, Buffer.from(word), info, 32)));
  t.notSame(
    givenSecret({ ...partner, secret: secret(6) }, 'r1', word),
    made,
    'who guesses the word has nothing',
  );
  t.notSame(givenSecret(partner, 'r2', word), made);
  const long = 'a text of sixteen octets and more';
  t.notOk(isShortSecret(long));
  t.same(givenSecret(partner, 'r1', long), Buffer.from(long), 'a long one is taken as it is');
  t.notSame(
    derivedSecret(partner, 'r1'),
    derivedSecret(partner, 'r2'),
    'none given: one for each relationship',
  );
});
