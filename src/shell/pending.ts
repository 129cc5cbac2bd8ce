// Commands under way: each waits for the engine's `reply`, which waits for the disk. Bounded.

import type { Command, CommandResult } from '../engine/command.js';

const MOST = 1_024;

export class PendingCommands {
  private nextId = 1;
  private readonly waiting = new Map<number, (result: CommandResult) => void>();

  constructor(private readonly feed: (id: number, actor: string, command: Command) => void) {}

  run(actor: string, command: Command): Promise<CommandResult> {
    if (this.waiting.size >= MOST) {
      return Promise.resolve({
        ok: false,
        code: 'overloaded',
        message: `${MOST} commands are under way already; try again later`,
        faults: [],
      });
    }
    const id = this.nextId++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.feed(id, actor, command);
    });
  }

  answer(id: number, result: CommandResult): void {
    this.waiting.get(id)?.(result);
    this.waiting.delete(id);
  }
}
