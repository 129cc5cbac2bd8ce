// The part of npm `dhcp` (which ships no types) that tests use: its packet codec, as a second opinion on ours.

declare module 'dhcp/lib/protocol.js' {
  export type DhcpOptionValue = string | number | boolean | readonly (string | number)[];

  export interface DhcpPacket {
    op: number;
    htype: number;
    hlen: number;
    hops: number;
    xid: number;
    secs: number;
    flags: number;
    ciaddr: string;
    yiaddr: string;
    siaddr: string;
    giaddr: string;
    chaddr: string; // "02-00-00-00-00-01"
    sname: string;
    file: string;
    options: { readonly [code: number]: DhcpOptionValue };
  }

  const protocol: {
    parse(bytes: Buffer): DhcpPacket & { readonly magicCookie: number };
    /** The octets are the first `_w` of `_data`. */
    format(packet: DhcpPacket): { readonly _data: Buffer; readonly _w: number };
  };
  export default protocol;
}
