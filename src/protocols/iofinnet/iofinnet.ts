/**
 * The approval protocol of one io.finnet Virtual Signer, in which we are asked for a vote over HTTP.
 *
 * Requests are not signed in any published form, and a signed vote says nothing but its status and a nonce. Who may ask
 * is told by the network; and the core gives a nonce to one content only, and lets a refusal bind nothing but itself.
 */
import type { InboundMessage, Protocol, Received, VoteKeys } from '../../core/ports.js';
import type { Doubt, Request, Unsigned } from '../../core/request.js';
import { MalformedBody, parseBody } from './body.js';
import { type CallerSettings, callerCheck } from './caller.js';
import { readNonce } from './nonce.js';
import { type Operation, type OperationSettings, readOperation } from './operation.js';
import { type ContractSettings, receiveRpc } from './rpc.js';
import { noVote, signedVote, voteOf } from './vote.js';

const IOFINNET = 'iofinnet';

/** Which of the two is called for what is not documented in full: the type of the operation decides. */
const ROUTES: readonly string[] = ['/transaction', '/reshare'];

/** Where the contract mode is served. */
const CONTRACT_ROUTE = '/rpc';

export interface IofinnetOptions extends OperationSettings, Omit<CallerSettings, 'verify'> {
  readonly name: string;
  readonly workspace: string;
  readonly voteKeys: VoteKeys;
  /** Its requests are signed, and none is accepted without. */
  readonly signsRequests?: boolean;
  /** Serves the contract mode too; absent: it does not. */
  readonly contract?: ContractSettings;
}

export function iofinnetProtocol(options: IofinnetOptions): Protocol {
  const { name, voteKeys, signsRequests, contract } = options;
  const strangeness = callerCheck({
    ...options,
    ...(signsRequests === true && { verify: (text, signature) => voteKeys.verify(name, text, signature) }),
  });

  async function receive(message: InboundMessage): Promise<Received> {
    const stranger = strangeness(message);
    if (stranger !== undefined)
      return { kind: 'refused', status: 401, code: 'UNAUTHENTICATED', problem: stranger };
    if (contract !== undefined && message.route === CONTRACT_ROUTE)
      return receiveRpc(message.body, {
        contract,
        settings: options,
        requestOf: (operation) => requestOf(operation, options, undefined),
      });
    if (!ROUTES.includes(message.route))
      return {
        kind: 'refused',
        status: 404,
        code: 'PATH_UNKNOWN',
        problem: 'no message arrives at this path',
      };
    const nonce = readNonce(message.headers);
    if (!nonce.ok) return malformed(nonce.problem);
    try {
      const operation = readOperation(parseBody(message.body), options);
      const scope = voteKeys.scopeOf(name);
      return { kind: 'request', request: requestOf(operation, options, { digits: nonce.digits, scope }) };
    } catch (error) {
      if (!(error instanceof MalformedBody)) throw error;
      return malformed(error.message);
    }
  }

  return {
    name: IOFINNET,
    receive,
    async answer(request, outcome) {
      const vote = voteOf(outcome);
      const nonce = request.unsigned?.nonce;
      if (vote === undefined || nonce === undefined) return noVote(outcome);
      return signedVote(vote, nonce.digits, (text) => voteKeys.sign(name, text));
    },
  };
}

/** The id of an operation is unique within its organisation only. */
export function requestOf(
  { id, expiresAtMs, voting, subject }: Operation,
  { name, workspace, organisation }: Pick<IofinnetOptions, 'name' | 'workspace' | 'organisation'>,
  nonce: Unsigned['nonce'],
): Request {
  const requestId = `${organisation}.${id}`;
  const doubt: { readonly doubt?: Doubt } = voting ? {} : { doubt: 'NOT_VOTING' };
  const identity = {
    protocol: IOFINNET,
    workspace,
    cosigner: name,
    signer: undefined,
    requestId,
    unsigned: { nonce, expiresAtMs },
    ...doubt,
  };
  return subject.kind === 'transaction'
    ? { ...subject, ...identity, txId: requestId }
    : { ...subject, ...identity };
}

function malformed(problem: string): Received {
  return { kind: 'refused', status: 400, code: 'REQUEST_MALFORMED', problem };
}
