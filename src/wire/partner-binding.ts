// A binding and its acknowledgement on the wire, field by field: written out, because these two messages are all that
// a busy link carries and the general tables of partner-shapes.ts take several times as long. Order and sections of
// proto/partner.proto. Nothing here knows batches or frames.

import {
  address,
  flag,
  instant,
  type MessageCodec,
  named,
  octets,
  octetsOrNull,
  type Shape,
  whole,
  words,
} from './partner-fields.js';
import { PARTNER_LIMITS } from './partner-limits.js';
import type { Binding, BindingResult } from './partner-message.js';
import { BINDING_STATE_NUMBERS } from './partner-values.js';

const LIMITS = PARTNER_LIMITS;

const B = {
  address: address('Binding.address'),
  state: named('Binding.state', BINDING_STATE_NUMBERS),
  owner: whole('Binding.owner', 1, 2) as Shape<Binding>['owner'],
  handover: whole('Binding.handover'),
  revision: whole('Binding.revision'),
  end: instant('Binding.end'),
  endPartner: instant('Binding.endPartner'),
  potentialExpiration: instant('Binding.potentialExpiration'),
  clientLastTransaction: instant('Binding.clientLastTransaction'),
  startOfState: instant('Binding.startOfState'),
  start: instant('Binding.start'),
  htype: whole('Binding.htype', 0, 255),
  hardwareAddress: octets('Binding.hardwareAddress', LIMITS.hardwareBytes),
  clientId: octetsOrNull('Binding.clientId', LIMITS.clientIdBytes, 'refused'),
  hostname: words('Binding.hostname', LIMITS.nameBytes),
  relayInfo: octetsOrNull('Binding.relayInfo', LIMITS.clientTextBytes, 'left-out'),
  vendorClass: octetsOrNull('Binding.vendorClass', LIMITS.clientTextBytes, 'left-out'),
  userClass: octetsOrNull('Binding.userClass', LIMITS.clientTextBytes, 'left-out'),
  dnsFlags: whole('Binding.dnsFlags', 0, 0xffff),
  dnsName: words('Binding.dnsName', LIMITS.nameBytes),
  quarantineUntil: instant('Binding.quarantineUntil'),
  reserved: flag('Binding.reserved'),
} as const;

type RawBinding = { readonly [Wire in keyof typeof B]: unknown };

export const BINDING: MessageCodec<Binding> = {
  read(from) {
    const raw = from as RawBinding;
    return {
      address: B.address.read(raw.address),
      state: B.state.read(raw.state),
      owner: B.owner.read(raw.owner),
      handover: B.handover.read(raw.handover),
      revision: B.revision.read(raw.revision),
      endToldAt: B.end.read(raw.end),
      endPartnerAt: B.endPartner.read(raw.endPartner),
      petAt: B.potentialExpiration.read(raw.potentialExpiration),
      lastTransactionAt: B.clientLastTransaction.read(raw.clientLastTransaction),
      stateSinceAt: B.startOfState.read(raw.startOfState),
      startAt: B.start.read(raw.start),
      quarantineUntilAt: B.quarantineUntil.read(raw.quarantineUntil),
      htype: B.htype.read(raw.htype),
      hardwareAddress: B.hardwareAddress.read(raw.hardwareAddress),
      clientId: B.clientId.read(raw.clientId),
      hostname: B.hostname.read(raw.hostname),
      relayInfo: B.relayInfo.read(raw.relayInfo),
      vendorClass: B.vendorClass.read(raw.vendorClass),
      userClass: B.userClass.read(raw.userClass),
      dnsFlags: B.dnsFlags.read(raw.dnsFlags),
      dnsName: B.dnsName.read(raw.dnsName),
      reserved: B.reserved.read(raw.reserved),
    };
  },
  write(binding): RawBinding {
    return {
      address: B.address.write(binding.address),
      state: B.state.write(binding.state),
      owner: B.owner.write(binding.owner),
      handover: B.handover.write(binding.handover),
      revision: B.revision.write(binding.revision),
      end: B.end.write(binding.endToldAt),
      endPartner: B.endPartner.write(binding.endPartnerAt),
      potentialExpiration: B.potentialExpiration.write(binding.petAt),
      clientLastTransaction: B.clientLastTransaction.write(binding.lastTransactionAt),
      startOfState: B.startOfState.write(binding.stateSinceAt),
      start: B.start.write(binding.startAt),
      htype: B.htype.write(binding.htype),
      hardwareAddress: B.hardwareAddress.write(binding.hardwareAddress),
      clientId: B.clientId.write(binding.clientId),
      hostname: B.hostname.write(binding.hostname),
      relayInfo: B.relayInfo.write(binding.relayInfo),
      vendorClass: B.vendorClass.write(binding.vendorClass),
      userClass: B.userClass.write(binding.userClass),
      dnsFlags: B.dnsFlags.write(binding.dnsFlags),
      dnsName: B.dnsName.write(binding.dnsName),
      quarantineUntil: B.quarantineUntil.write(binding.quarantineUntilAt),
      reserved: B.reserved.write(binding.reserved),
    };
  },
};

const R = {
  address: address('BindingResult.address'),
  revision: whole('BindingResult.revision'),
  rejectReason: whole('BindingResult.rejectReason', 0, 255),
  message: words('BindingResult.message', LIMITS.messageBytes),
} as const;

type RawResult = { readonly [Wire in keyof typeof R]: unknown };

export const BINDING_RESULT: MessageCodec<BindingResult> = {
  read(from) {
    const raw = from as RawResult;
    return {
      address: R.address.read(raw.address),
      revision: R.revision.read(raw.revision),
      rejectReason: R.rejectReason.read(raw.rejectReason),
      text: R.message.read(raw.message),
    };
  },
  write(result): RawResult {
    return {
      address: R.address.write(result.address),
      revision: R.revision.write(result.revision),
      rejectReason: R.rejectReason.write(result.rejectReason),
      message: R.message.write(result.text),
    };
  },
};
