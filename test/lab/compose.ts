// docker-compose.yml and the Dockerfile as the namespace lab understands them: which hosts stand in which networks, and
// what runs there as whom. Only what the two files use is known; anything else in them is a fault, not overlooked.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const Attachment = z.strictObject({ ipv4_address: z.string().optional() });

const Service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal('.'), target: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  cap_drop: z.tuple([z.literal('ALL')]).optional(),
  cap_add: z.array(z.string()).optional(),
  read_only: z.boolean().optional(),
  tmpfs: z.array(z.string()).optional(),
  restart: z.enum(['unless-stopped', 'on-failure']).optional(),
  init: z.boolean().optional(),
  stdin_open: z.boolean().optional(),
  hostname: z.string().optional(),
  mac_address: z.string().optional(),
  network_mode: z
    .string()
    .regex(/^service:/)
    .optional(),
  networks: z.union([z.array(z.string()), z.record(z.string(), Attachment)]).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  depends_on: z.array(z.string()).optional(),
  profiles: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
});

const Network = z.strictObject({
  internal: z.boolean().optional(),
  ipam: z
    .strictObject({
      config: z.tuple([z.strictObject({ subnet: z.string(), ip_range: z.string().optional() })]),
    })
    .optional(),
});

const Compose = z.looseObject({
  services: z.record(z.string(), Service),
  networks: z.record(z.string(), Network),
  volumes: z.record(z.string(), z.strictObject({})),
});

export interface Volume {
  readonly source: string; // "./path" in the checkout, or the name of a volume
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ServicePlan {
  readonly name: string;
  readonly target: string; // of the Dockerfile, or an image from elsewhere
  readonly argv: readonly string[]; // entry point and command
  readonly networks: ReadonlyMap<string, string | null>; // name → its fixed address
  readonly sharesNetworkOf: string | null;
  readonly mac: string | null;
  readonly volumes: readonly Volume[];
  readonly tmpfs: readonly { readonly path: string; readonly options: string }[];
  readonly readOnly: boolean;
  readonly capabilities: readonly string[]; // as setpriv has them: net_raw
  readonly profiles: readonly string[];
  readonly dependsOn: readonly string[];
}

export interface Image {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly workdir: string;
  readonly uid: number; // 0: no USER line
  readonly healthcheck: readonly string[];
  readonly fileCapabilities: string | null; // as setcap takes them
  readonly data: readonly string[]; // directories for its own data
}

export interface Plan {
  readonly services: readonly ServicePlan[];
  /** Subnets by name; networks without one are not made. */
  readonly networks: ReadonlyMap<string, { readonly subnet: string; readonly internal: boolean }>;
  readonly images: ReadonlyMap<string, Image>;
}

/** Images from elsewhere whose program Debian has as well, in the same place. */
const STAND_INS: Readonly<Record<string, Image>> = {
  'prom/prometheus': {
    entrypoint: ['/bin/prometheus'],
    command: [],
    workdir: '/tmp',
    uid: 65_534,
    healthcheck: [],
    fileCapabilities: null,
    data: ['/var/lib/prometheus'],
  },
};

/** Both files of a checkout. Services of images that cannot be had here are left out. Throws what is wrong with them. */
export function readPlan(root: string): Plan {
  const compose = Compose.parse(
    parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }),
  );
  const built = readDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'));
  const images = new Map([...built, ...Object.entries(STAND_INS)]);
  const networks = new Map<string, { subnet: string; internal: boolean }>();
  for (const [name, { ipam, internal = false }] of Object.entries(compose.networks)) {
    if (ipam !== undefined) networks.set(name, { subnet: ipam.config[0].subnet, internal });
  }
  const services = Object.entries(compose.services).flatMap(([name, service]) => {
    const target = service.build?.target ?? service.image.replace(/:.*$/, '');
    const image = images.get(target);
    if (image === undefined && service.build === undefined) return [];
    if (image === undefined) throw new Error(`${name}: the Dockerfile has no target ${target}`);
    return [planOf(name, target, service, image)];
  });
  return { services, networks, images };
}

function planOf(name: string, target: string, service: z.infer<typeof Service>, image: Image): ServicePlan {
  const { networks = [], tmpfs = [], volumes = [] } = service;
  const attached = Array.isArray(networks)
    ? networks.map((one): [string, null] => [one, null])
    : Object.entries(networks).map(([one, { ipv4_address = null }]): [string, string | null] => [
        one,
        ipv4_address,
      ]);
  return {
    name,
    target,
    argv: [...image.entrypoint, ...(service.command ?? image.command)],
    networks: new Map(attached),
    sharesNetworkOf: service.network_mode?.replace('service:', '') ?? null,
    mac: service.mac_address ?? null,
    volumes: volumes.map((text) => {
      const [source = '', path = '', mode = 'rw'] = text.split(':');
      return { source, target: path, readOnly: mode === 'ro' };
    }),
    tmpfs: [
      ...tmpfs.map((text) => {
        const [path = '', options = 'mode=0755'] = text.split(':');
        return { path, options };
      }),
      ...image.data.map((path) => ({ path, options: `uid=${image.uid},mode=0755` })),
    ],
    readOnly: service.read_only ?? false,
    capabilities: (service.cap_add ?? []).map((one) => one.toLowerCase()),
    profiles: service.profiles ?? [],
    dependsOn: service.depends_on ?? [],
  };
}

/** The stages of a Dockerfile, by name, as far as they say what runs. */
function readDockerfile(text: string): ReadonlyMap<string, Image> {
  const images = new Map<string, Image>();
  let stage = '';
  const set = (more: Partial<Image>): void => {
    const blank = {
      entrypoint: [],
      command: [],
      workdir: '/',
      uid: 0,
      healthcheck: [],
      fileCapabilities: null,
      data: [],
    };
    images.set(stage, { ...(images.get(stage) ?? blank), ...more });
  };
  const list = (words: string) => z.array(z.string()).parse(JSON.parse(words));
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const [, word = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    if (word === 'FROM') {
      const [, from = '', name = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      stage = name;
      set(images.get(from) ?? {});
    } else if (word === 'WORKDIR') set({ workdir: rest });
    else if (word === 'ENTRYPOINT') set({ entrypoint: list(rest) });
    else if (word === 'CMD') set({ command: list(rest) });
    else if (word === 'HEALTHCHECK') set({ healthcheck: list(rest.replace(/^.*?CMD /, '')) });
    else if (word === 'USER') set({ uid: Number(new RegExp(`--uid (\\d+) .* ${rest}\\b`).exec(text)?.[1]) });
    else if (word === 'RUN') {
      const capabilities = /setcap (\S+) \/usr\/local\/bin\/node/.exec(rest)?.[1];
      if (capabilities !== undefined) set({ fileCapabilities: capabilities });
    }
  }
  return images;
}
