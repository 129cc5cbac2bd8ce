// What comes in on a connection of a relationship, message by message, and whose it is (draft-ietf-dhc-failover-12 §7).
// Until the greeting is over only the greeting counts.

import type { ReceivedFrame } from '../wire/partner-message.js';
import { REJECT_NUMBERS } from '../wire/partner-values.js';
import type { Relationship } from './relationship.js';

/** Hand a frame to the part of the relationship that it is for. */
export function deliver(relationship: Relationship, link: number, { xid, message }: ReceivedFrame): void {
  const { contact, exchange, duties, joining, taking } = relationship;
  if (message.kind === 'connect') {
    contact.connectReceived(link, xid, message.hello, message.t1At);
    return;
  }
  if (!contact.heard(link)) return;
  switch (message.kind) {
    case 'connect-ack':
      contact.connectAckReceived(link, message);
      return;
    case 'contact':
      contact.contactReceived(message);
      relationship.acquaintance.committed(message.newest);
      return;
    case 'disconnect': {
      const greeting = contact.partner === null;
      contact.disconnectReceived(link, message);
      if (greeting && message.reason === REJECT_NUMBERS['relationship-ended'])
        relationship.ended(message.text);
      return;
    }
  }
  if (contact.partner === null) return;
  switch (message.kind) {
    case 'state':
      relationship.acquaintance.spoke();
      relationship.partnerMoved(message.state, message.sinceAt, message.startup);
      return;
    case 'bnd-upd':
      duties.heard(message);
      exchange.received(link, xid, message.bindings);
      if (duties.withdrawing) duties.afterAnswers();
      return;
    case 'bnd-ack':
      exchange.acknowledged(message.results);
      duties.afterAnswers();
      return;
    case 'upd-req':
      exchange.asked(xid, message.extent, message.scopes);
      return;
    case 'upd-done':
      joining.answered(xid, duties.request?.xid === xid && duties.request.all);
      if (duties.answered(xid)) taking.updateDone();
      joining.ask();
      return;
    case 'pool-req':
      duties.poolRequested();
      return;
    case 'pool-resp':
    case 'manage-request': // have connections of their own
    case 'manage-reply':
    case 'unknown':
      return;
  }
}
