// The route table of the HTTP API: every row, in the order that openapi.json shows them.

import type { Method, Route } from './route.js';
import { daemonRoutes } from './routes-daemon.js';
import { failoverRoutes } from './routes-failover.js';
import { leaseRoutes } from './routes-leases.js';
import { relationshipRoutes } from './routes-relationships.js';
import { reservationRoutes } from './routes-reservations.js';
import { scopeRoutes } from './routes-scopes.js';
import { serverRoutes } from './routes-server.js';

export const ROUTES: readonly Route[] = [
  ...daemonRoutes,
  ...serverRoutes,
  ...scopeRoutes,
  ...reservationRoutes,
  ...leaseRoutes,
  ...failoverRoutes,
  ...relationshipRoutes,
];

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Pattern {
  readonly segments: readonly string[];
  readonly routes: Map<Method, Route>;
}

const PATTERNS: readonly Pattern[] = [...new Set(ROUTES.map((row) => row.path))].map((path) => ({
  segments: path.split('/'),
  routes: new Map(ROUTES.filter((row) => row.path === path).map((row) => [row.method, row])),
}));

/**
 * Finds the row for a path (as on the wire, without the query). HEAD is answered by GET's row.
 * 'no-path' when nothing stands there, the methods that exist when only the method is wrong,
 * 'malformed' when the path's percent-encoding is.
 */
export function findRoute(method: string, path: string): Match | 'no-path' | 'malformed' | readonly Method[] {
  const segments: string[] = [];
  for (const raw of path.split('/')) {
    try {
      segments.push(decodeURIComponent(raw));
    } catch {
      return 'malformed';
    }
  }
  for (const pattern of PATTERNS) {
    const params = matchSegments(pattern.segments, segments);
    if (!params) continue;
    const found = pattern.routes.get((method === 'HEAD' ? 'GET' : method) as Method);
    return found ? { route: found, params } : [...pattern.routes.keys()];
  }
  return 'no-path';
}

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index]!;
    if (part.startsWith('{') && segment !== '') params[part.slice(1, -1)] = segment;
    else if (part !== segment) return undefined;
  }
  return params;
}
