// The token of `tandem partner invite`: where this server is and the new secret, in one word to be carried to the other
// server. Whoever has it can be a partner, so it is shown once and never logged.

export interface Invitation {
  readonly name: string;
  readonly host: string; // dotted quad
  readonly port: number;
  readonly secret: Uint8Array;
}

const PREFIX = 'tandem1.';
const SECRET_BYTES = 32;
const LONGEST = 1_024;

export function writeToken({ name, host, port, secret }: Invitation): string {
  const value = [name, host, port, Buffer.from(secret).toString('base64url')];
  return PREFIX + Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Undefined: no token, or not all of it. */
export function readToken(text: string): Invitation | undefined {
  const token = text.trim();
  if (!token.startsWith(PREFIX) || token.length > LONGEST) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(token.slice(PREFIX.length), 'base64url').toString('utf8'));
    if (!Array.isArray(value)) return undefined;
    const [name, host, port, secret] = value as unknown[];
    if (typeof name !== 'string' || typeof host !== 'string' || typeof secret !== 'string') return undefined;
    if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
    const bytes = Buffer.from(secret, 'base64url');
    if (name === '' || !/^\d{1,3}(\.\d{1,3}){3}$/.test(host) || bytes.length !== SECRET_BYTES)
      return undefined;
    return { name, host, port, secret: new Uint8Array(bytes) };
  } catch {
    return undefined;
  }
}
