/** HAProxy in front of the replicas, with the settings that the documents advise. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Member } from './member.js';

export interface Backend {
  readonly name: string;
  /** Where it takes requests, through the proxy of the bed. */
  readonly port: number;
  /** Where it takes notifications, through the proxy too. */
  readonly hooksPort: number;
  readonly opsPort: number;
}

export interface Frontends {
  readonly cosigners: number;
  readonly vendor: number;
}

export function haproxy(folder: string, frontends: Frontends, backends: readonly Backend[]): Member {
  const file = join(folder, 'haproxy.cfg');
  const lines = [
    'global',
    '  maxconn 4000',
    '  nbthread 1',
    'defaults',
    '  mode http',
    '  timeout connect 1s',
    '  timeout client 40s',
    '  timeout server 35s',
    '  timeout queue 20s',
    // The whole request is kept, so that it can be sent to another replica when one dies over it.
    '  option http-buffer-request',
    '  option redispatch 1',
    '  retries 5',
    '  retry-on conn-failure empty-response',
    ...shared('replicas', frontends.cosigners, backends),
    ...shared(
      'hooks',
      frontends.vendor,
      backends.map((backend) => ({ ...backend, port: backend.hooksPort })),
    ),
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return new Member('haproxy', join(folder, 'haproxy.log'), () => ({
    command: 'haproxy',
    args: ['-db', '-f', file],
  }));
}

function shared(name: string, port: number, backends: readonly Backend[]): readonly string[] {
  return [
    `frontend to-${name}`,
    `  bind 127.0.0.1:${port}`,
    `  default_backend ${name}`,
    `backend ${name}`,
    '  balance roundrobin',
    '  option httpchk GET /readyz/draining',
    '  default-server inter 300ms fastinter 100ms fall 2 rise 1',
    ...backends.map(
      (backend) =>
        `  server ${backend.name} 127.0.0.1:${backend.port} check addr 127.0.0.1 port ${backend.opsPort}`,
    ),
  ];
}
