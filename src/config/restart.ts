// Which changes of this machine's own part wait for the next start.

import type { ServeConfig } from './config.js';
import { asMap, type JsonMap } from './shapes.js';
import { type KeyNode, keyNode } from './tree.js';

/** Keys whose values differ and that take force only at the next start: `server.ports.server`, … */
export function restartKeys(before: ServeConfig, after: ServeConfig): readonly string[] {
  const found: string[] = [];
  const walk = (node: KeyNode, a: JsonMap, b: JsonMap): void => {
    for (const child of node.children.values()) {
      const [left, right] = [a[child.name], b[child.name]];
      if (child.row.shape.kind === 'map' && child.row.presence === 'default')
        walk(child, asMap(left), asMap(right));
      else if (child.row.change === 'restart' && JSON.stringify(left) !== JSON.stringify(right)) {
        found.push(child.row.path);
      }
    }
  };
  walk(keyNode('server'), before as unknown as JsonMap, after as unknown as JsonMap);
  return found;
}
