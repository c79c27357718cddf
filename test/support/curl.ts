/** The curl of this machine, as a client that keeps the rules of TLS by itself. */
import { spawn } from 'node:child_process';

export interface Curled {
  /** How curl ended: 0, or why there is no answer (90: another key than the pinned one; 60: unknown authority). */
  readonly code: number;
  /** 0 when there was none. */
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** POSTs a body that is given on its standard input. */
export function curl(url: string, body: string | Buffer, ...options: readonly string[]): Promise<Curled> {
  const format = '\n%{http_code} %{content_type}';
  const args = ['--silent', '--max-time', '60', '--write-out', format, ...options];
  const child = spawn('curl', [...args, '--data-binary', '@-', '--header', 'expect:', url], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(body);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const end = said.lastIndexOf('\n');
      const [status = '', contentType = ''] = said.slice(end + 1).split(' ');
      resolve({ code: code ?? -1, status: Number(status), contentType, body: said.slice(0, end) });
    });
  });
}
