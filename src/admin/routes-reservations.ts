// Routes that read and edit reservations. Each belongs to the scope whose subnet holds its address.

import { z } from 'zod';
import type { ScopeView } from '../engine/view.js';
import type { ReservationSettings } from '../lease/settings.js';
import { formatAddress, parseAddress, parseSubnet } from '../wire/address.js';
import type { ReservationView } from './api.js';
import { edit, writeQuery } from './edits.js';
import { ApiError } from './problem.js';
import { address, addressParameter, limit, type Request, type Route, route } from './route.js';
import * as schemas from './schemas.js';

/** All reservations in order of scope and as written. */
function* reservationsOf(all: readonly ScopeView[]): Generator<ReservationView> {
  for (const scope of all)
    for (const reservation of scope.reservations) yield { scopeId: scope.scopeId, ...reservation };
}

function reservationAt(request: Request<unknown, unknown>): ReservationView {
  const wanted = addressParameter(request, 'address');
  for (const scope of request.room.daemon.view.scopes()) {
    if (!holds(scope, wanted)) continue;
    const found = scope.reservations.find((reservation) => parseAddress(reservation.address) === wanted);
    if (found) return { scopeId: scope.scopeId, ...found };
  }
  throw new ApiError('reservation-not-found', `There is no reservation for ${formatAddress(wanted)}.`, {
    parameter: 'address',
    value: formatAddress(wanted),
  });
}

function holds(scope: ScopeView, wanted: number): boolean {
  const subnet = parseSubnet(scope.subnet);
  if (!subnet) return false;
  const size = 2 ** (32 - subnet.prefixLength);
  return wanted >= subnet.network && wanted < subnet.network + size;
}

/** The scope that a new reservation belongs to: as said, or the one whose subnet holds the address. */
function scopeForReservation(
  request: Request<unknown, { readonly scopeId?: string; readonly address: string }>,
): string {
  const { scopeId, address: text } = request.body;
  if (scopeId !== undefined) return scopeId;
  const wanted = parseAddress(text);
  if (wanted === undefined)
    throw new ApiError('invalid', 'The reservation has a fault.', {
      faults: [{ path: 'address', message: 'must be an IPv4 address as a dotted quad' }],
    });
  const found = request.room.daemon.view.scopes().find((scope) => holds(scope, wanted));
  if (!found)
    throw new ApiError(
      'scope-not-found',
      `No scope on this server holds ${text}: name the scope or add one first.`,
      {
        parameter: 'address',
        value: text,
      },
    );
  return found.scopeId;
}

export const reservationRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/reservations',
    access: 'read',
    doc: 'Reservations of all scopes or of one.',
    query: z.strictObject({
      scope: address.exactOptional(),
      limit,
      cursor: z
        .string()
        .regex(/^\d{1,9}$/, 'a cursor of the page before')
        .transform(Number)
        .default(0),
    }),
    reply: schemas.pageOf(schemas.reservationView),
    handle: async ({ room, query }) => {
      const view = room.daemon.view;
      const one = query.scope === undefined ? undefined : view.scope(query.scope);
      if (query.scope !== undefined && !one)
        throw new ApiError('scope-not-found', `There is no scope ${query.scope} on this server.`, {
          parameter: 'scope',
          value: query.scope,
        });
      const all = one ? [one] : view.scopes();
      const items: ReservationView[] = [];
      let index = 0;
      let more = false;
      for (const reservation of reservationsOf(all)) {
        if (index >= query.cursor + query.limit) {
          more = true;
          break;
        }
        if (index++ >= query.cursor) items.push(reservation);
      }
      return { json: { items, next: more ? String(index) : null } };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/reservations/{address}',
    access: 'read',
    doc: 'The reservation for an address.',
    reply: schemas.reservationView,
    handle: (request) => ({ json: reservationAt(request) }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/reservations',
    access: 'full',
    doc: 'Tie an address to a client.',
    query: writeQuery,
    body: schemas.reservationBody,
    status: 201,
    reply: schemas.reservationView,
    handle: async (request) => {
      const scopeId = scopeForReservation(request);
      const { scopeId: _scopeId, ...body } = request.body;
      const reservation: ReservationSettings = { options: {}, ...body };
      const dry = await edit(request, { kind: 'reservation-add', scopeId, reservation });
      if (dry) return dry;
      const wanted = parseAddress(reservation.address);
      const kept = request.room.daemon.view
        .scope(scopeId)
        ?.reservations.find((other) => parseAddress(other.address) === wanted);
      return {
        json: { scopeId, ...(kept ?? reservation) },
        headers: { Location: `/api/v1/reservations/${reservation.address}` },
      };
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/reservations/{address}',
    access: 'full',
    doc: 'Free an address from its client.',
    query: writeQuery,
    status: 204,
    reply: null,
    handle: async (request) => {
      const { scopeId, address: at } = reservationAt(request);
      return (await edit(request, { kind: 'reservation-remove', scopeId, address: at })) ?? {};
    },
  }),
];
