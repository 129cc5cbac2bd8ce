// The checks that are made before a relationship is, by their stable codes and in the order in which they are told
// (product.md "Checks before a relationship is made"). What each looks at is the shell's matter; the management
// interface derives its shapes from here.

export const CHECK_CODES = [
  'partner-name-unresolved',
  'partner-address-invalid',
  'ipv6-not-supported',
  'partner-unreachable',
  'partner-not-running',
  'partner-version-unsupported',
  'permission-denied',
  'too-many-relationships',
  'clock-skew',
  'scope-exists-on-partner',
  'scope-not-found',
  'scope-already-in-relationship',
  'relationship-exists',
  'relationship-name-invalid',
  'scope-required',
  'secret-required',
] as const;

export type CheckCode = (typeof CHECK_CODES)[number];
