/**
 * Callback handlers as people write them, with the habits that docs/migration.md speaks of: JSON.parse, numbers, approving
 * what no check names, exceptions, and memory that ends with the process. Ours, and small; never to be taken as a model.
 */
import type { KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { payloadOf, token, verifies } from '../cosigner.js';

export interface HandlerKeys {
  readonly cosigner: KeyObject;
  readonly own: KeyObject;
}

type Claims = Readonly<Record<string, unknown>> & { readonly requestId: string };

export type Asked = IncomingMessage & { body?: string; claims?: Claims };
export type Middleware = (request: Asked, response: ServerResponse, next: () => void) => void;

function claimsIn(body: string, { cosigner }: HandlerKeys): Claims | undefined {
  try {
    return verifies(body, cosigner) ? (JSON.parse(payloadOf(body)) as Claims) : undefined;
  } catch {
    return undefined;
  }
}

function answer(action: string, { requestId }: Claims, { own }: HandlerKeys): string {
  return token({ action, requestId }, own);
}

/** Shape 1: a stack of middleware, the way Express runs it. `between` comes after the parser and before the handler. */
export function middlewareHandler(keys: HandlerKeys, between: Middleware): Server {
  const stack: readonly Middleware[] = [
    (request, _, next) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        request.body = Buffer.concat(chunks).toString();
        next();
      });
    },
    between,
    (request, response, next) => {
      const claims = claimsIn(request.body ?? '', keys);
      if (claims === undefined) {
        response.statusCode = 401;
        response.end('unauthorized');
        return;
      }
      request.claims = claims;
      next();
    },
    ({ claims }, response) => {
      if (claims === undefined) throw new Error('not verified');
      response.end(answer(Number(claims.amount) > 10 ? 'REJECT' : 'APPROVE', claims, keys));
    },
  ];
  return createServer((request, response) => {
    const run = (index: number): void => stack[index]?.(request, response, () => run(index + 1));
    run(0);
  });
}

/** Undefined: no objection. */
type Plugin = (claims: Claims) => string | undefined;

const PLUGINS: readonly Plugin[] = [
  ({ amountStr }) => (Number.parseFloat(String(amountStr)) > 10 ? 'too much' : undefined),
  ({ destinations }) => {
    const [first] = destinations as readonly { readonly dstType: string }[];
    return (first as { readonly dstType: string }).dstType === 'ONE_TIME_ADDRESS' ? 'not listed' : undefined;
  },
];

/** Shape 2: a chain of checks; nobody objects, so it is approved. `record` is told of everything that passes. */
export function pluginHandler(
  keys: HandlerKeys,
  record: (copy: { path: string; request: string; answer: string; status: number }) => void,
): Server {
  const handle = (body: string): { readonly status: number; readonly answer: string } => {
    try {
      const claims = claimsIn(body, keys);
      if (claims === undefined) return { status: 401, answer: 'unauthorized' };
      const objects = PLUGINS.some((plugin) => plugin(claims) !== undefined);
      return { status: 200, answer: answer(objects ? 'REJECT' : 'APPROVE', claims, keys) };
    } catch {
      return { status: 500, answer: 'Internal Server Error' };
    }
  };
  return createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { status, answer: text } = handle(body);
    record({ path: request.url ?? '', request: body, answer: text, status });
    response.writeHead(status).end(text);
  });
}

export interface FunctionEvent {
  readonly path: string;
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

export type CloudFunction = (
  event: FunctionEvent,
) => Promise<{ readonly statusCode: number; readonly body: string }>;

/** Shape 3: a function. Its limit is a variable of the instance, and there are as many as there are calls. */
export function coldFunction(keys: HandlerKeys): CloudFunction {
  return async ({ body, isBase64Encoded }) => {
    let approved = 0;
    const text = isBase64Encoded ? Buffer.from(body, 'base64').toString() : body;
    const claims = claimsIn(text, keys);
    if (claims === undefined) return { statusCode: 401, body: 'unauthorized' };
    approved += 1;
    return { statusCode: 200, body: answer(approved > 3 ? 'REJECT' : 'APPROVE', claims, keys) };
  };
}
