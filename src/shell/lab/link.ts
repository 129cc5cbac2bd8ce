// The wire between the partners of the lab: a TCP relay in this process, which each daemon is told is its partner. It
// can be cut and healed while the daemons run; they see what they would see of a cable.

import { connect, createServer, type Server, type Socket } from 'node:net';

/** Where one daemon dials, and where that leads. */
export interface LabCable {
  readonly from: string; // address in 127/8 that the link listens on
  readonly to: string; // address of the daemon behind it
}

export class LabLink {
  private servers: Server[] = [];
  private readonly sockets = new Set<Socket>();

  constructor(
    private readonly cables: readonly LabCable[],
    private readonly port: number, // the same everywhere
  ) {}

  get isCut(): boolean {
    return this.servers.length === 0;
  }

  /** Let connections through; rejects when an address is taken. */
  async heal(): Promise<void> {
    if (!this.isCut) return;
    this.servers = this.cables.map(({ to }) => createServer((socket) => this.join(socket, to)));
    await Promise.all(this.cables.map(({ from }, index) => this.listen(this.servers[index], from)));
  }

  /** End every connection and accept no more. */
  cut(): void {
    for (const server of this.servers) server.close();
    this.servers = [];
    for (const socket of [...this.sockets]) socket.destroy();
  }

  private listen(server: Server | undefined, host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      server?.once('error', reject);
      server?.listen({ host, port: this.port }, resolve);
    });
  }

  private join(near: Socket, to: string): void {
    const far = connect({ host: to, port: this.port });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.on('error', () => {}); // 'close' follows
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroySoon();
      });
    }
  }
}
