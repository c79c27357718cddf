/** Uniswap's Universal Router: a list of commands, each with its own encoded input. */
import { assert } from '../../core/errors.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { type AbiValue, decodeArguments, items, text } from './abi.js';
import { type Allowance, type DecodedCall, permit2Allowances } from './known-functions.js';

/** Bit 7: the command may fail without failing the whole; bits 0 to 6: which command. */
const MAY_FAIL = 0x80;
const MAX_COMMANDS = 64;

type Parties = { readonly recipients: readonly string[]; readonly allowances: readonly Allowance[] };

interface Command {
  readonly types: readonly string[];
  read(args: readonly AbiValue[]): Parties;
}

const pays = (index: number) => (args: readonly AbiValue[]) => ({
  recipients: [text(args[index])],
  allowances: [],
});
const PERMIT_DETAILS = '(address,uint160,uint48,uint48)';

const SWAP_V3: Command = { types: ['address', 'uint256', 'uint256', 'bytes', 'bool'], read: pays(0) };
const SWAP_V2: Command = { types: ['address', 'uint256', 'uint256', 'address[]', 'bool'], read: pays(0) };

/** https://docs.uniswap.org/contracts/universal-router/technical-reference */
const COMMANDS: ReadonlyMap<number, Command> = new Map<number, Command>([
  [0x00, SWAP_V3],
  [0x01, SWAP_V3],
  [0x02, { types: ['address', 'address', 'uint160'], read: pays(1) }],
  [
    0x03,
    {
      types: [`(${PERMIT_DETAILS}[],address,uint256)`, 'bytes'],
      read: (args) => ({
        recipients: [],
        allowances: permit2Allowances(items(items(args[0])[0]), text(items(args[0])[1])),
      }),
    },
  ],
  [0x04, { types: ['address', 'address', 'uint256'], read: pays(1) }],
  [0x05, { types: ['address', 'address', 'uint256'], read: pays(1) }],
  [0x06, { types: ['address', 'address', 'uint256'], read: pays(1) }],
  [0x08, SWAP_V2],
  [0x09, SWAP_V2],
  [
    0x0a,
    {
      types: [`(${PERMIT_DETAILS},address,uint256)`, 'bytes'],
      read: (args) => ({
        recipients: [],
        allowances: permit2Allowances([items(items(args[0])[0])], text(items(args[0])[1])),
      }),
    },
  ],
  [0x0b, { types: ['address', 'uint256'], read: pays(0) }],
  [0x0c, { types: ['address', 'uint256'], read: pays(0) }],
  [
    0x0d,
    {
      types: ['(address,address,uint160,address)[]'],
      read: (args) => ({ recipients: items(args[0]).map((item) => text(items(item)[1])), allowances: [] }),
    },
  ],
]);

/**
 * Everybody who receives something, and every allowance given. The router's own stand-ins, 0x…01 for the sender and
 * 0x…02 for itself, are recipients like others: inside a wrapper the sender is the wrapper, and what is left in the
 * router belongs to whoever comes next. Who wants them lists them.
 */
export function readRouter({ known, args }: DecodedCall): Parties | Refusal {
  assert(known?.role.kind === 'router', 'only router calls are read as such');
  const commands = Buffer.from(text(args[0]).slice(2), 'hex');
  const inputs = items(args[1]);
  if (commands.length === 0 || commands.length > MAX_COMMANDS)
    return refuse(
      'CALL_COUNT',
      `a router call has 1 to ${MAX_COMMANDS} commands, here are ${commands.length}`,
    );
  if (commands.length !== inputs.length)
    return refuse('CALLDATA_NON_CANONICAL', 'the router has another number of inputs than of commands');
  const recipients: string[] = [];
  const allowances: Allowance[] = [];
  for (const [index, byte] of commands.entries()) {
    const number = byte & ~MAY_FAIL;
    const command = COMMANDS.get(number);
    if (command === undefined)
      return refuse(
        'UR_COMMAND_REFUSED',
        `0x${number.toString(16).padStart(2, '0')} is no known router command`,
      );
    const values = decodeArguments(command.types, text(inputs[index]), 'a router command');
    if (isRefusal(values)) return values;
    const parties = command.read(values);
    recipients.push(...parties.recipients);
    allowances.push(...parties.allowances);
  }
  return { recipients, allowances };
}
