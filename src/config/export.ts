// `tandem config export`: what runs as a config file that loads back to the same. Keys at their defaults are left out.

import { hostname } from 'node:os';
import { Document, isScalar, isSeq, visit } from 'yaml';
import type { ComparedSettings } from './changes.js';
import type { ServeConfig } from './config.js';
import { stripMap } from './fill.js';
import { asItems, asMap, type JsonMap } from './shapes.js';
import { keyNode } from './tree.js';
import { writeMap } from './write.js';

export interface ExportInput {
  readonly running: ComparedSettings;
  readonly config: ServeConfig | null; // null: without this machine's own part
  readonly hostName?: string; // a server of this name needs no `name`; default: the host's
}

/** The YAML text. Paths in it are absolute, so the file may lie anywhere. */
export function exportSettings({ running, config, hostName = hostname() }: ExportInput): string {
  const own = { ...((config ?? {}) as unknown as JsonMap) };
  if (own['name'] === hostName) delete own['name'];
  const serverNode = keyNode('server');
  const scopesNode = keyNode('scopes');
  const server = writeMap(serverNode, stripMap(serverNode, { ...own, ...asMap(running.server as JsonMap) }));
  const scopes = asItems(running.scopes as readonly JsonMap[]).map((scope) =>
    writeMap(scopesNode, stripMap(scopesNode, asMap(scope))),
  );
  const failoverNode = keyNode('failover');
  const failover = asItems((running.failover ?? []) as readonly JsonMap[]).map((item) => {
    const secrets = config?.relationshipSecrets.find(
      ({ relationship }) => relationship === asMap(item)['name'],
    );
    return writeMap(
      failoverNode,
      stripMap(failoverNode, { ...asMap(item), ...(secrets as unknown as JsonMap) }),
    );
  });
  const document = new Document({
    ...(Object.keys(server).length === 0 ? {} : { server }),
    ...(scopes.length === 0 ? {} : { scopes }),
    ...(failover.length === 0 ? {} : { failover }),
  });
  visit(document, {
    Seq(_key, sequence) {
      if (isSeq(sequence) && sequence.items.every(isScalar)) sequence.flow = true;
    },
  });
  document.commentBefore = ' Running settings as a config file. Keys that are not here have their defaults.';
  return document.toString({ lineWidth: 120, flowCollectionPadding: false });
}
