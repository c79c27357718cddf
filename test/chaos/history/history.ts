/** The co-signers' records, put together: calls with their answers, by ask and by delivery. */
import type {
  AcknowledgedLine,
  AnsweredLine,
  AskedLine,
  ForgedLine,
  Line,
  Outcome,
  Phase,
  ToldLine,
} from '../cosigner/record.js';
import type { AskFacts } from '../workload/errands.js';

export interface Call {
  readonly id: string;
  readonly phase: Phase;
  readonly delivery: string;
  readonly ask: AskFacts;
  readonly askedMs: number;
  readonly askedWallMs: number;
  /** Undefined: the co-signer was still waiting when it ended. */
  readonly answer: AnsweredLine | undefined;
}

/** One content under one id: what must have one answer. */
export interface Question {
  readonly ask: AskFacts;
  readonly calls: readonly Call[];
  readonly firstAskedMs: number;
  /** Calls that ended with a final answer, in the order in which they did. */
  readonly finals: readonly Final[];
}

export interface Final {
  readonly call: Call;
  readonly action: 'APPROVE' | 'REJECT' | 'IGNORE';
  readonly reason: string | undefined;
  readonly atMs: number;
  readonly wallMs: number;
}

/** One sending of a notification. */
export interface Telling extends Pick<ToldLine, 'txId' | 'said'> {
  readonly toldMs: number;
  /** Undefined: the vendor was still waiting when it ended. */
  readonly answer: AcknowledgedLine | undefined;
}

export interface History {
  readonly calls: readonly Call[];
  /** By {@link questionKey}. */
  readonly questions: ReadonlyMap<string, Question>;
  readonly forged: readonly ForgedLine[];
  readonly tellings: readonly Telling[];
}

/** What a violation names, and what entries of the ledger are found by. */
export function questionKey({ key, wei }: Pick<AskFacts, 'key' | 'wei'>): string {
  return `${key} ${wei}`;
}

const FINAL: ReadonlySet<Outcome> = new Set<Outcome>(['APPROVE', 'REJECT', 'IGNORE']);

export function isFinal(outcome: Outcome): outcome is Final['action'] {
  return FINAL.has(outcome);
}

export function historyOf(lines: readonly Line[]): History {
  const asked: AskedLine[] = [];
  const answers = new Map<string, AnsweredLine>();
  const forged: ForgedLine[] = [];
  const told: ToldLine[] = [];
  const acknowledged = new Map<string, AcknowledgedLine>();
  for (const line of lines) {
    if (line.event === 'asked') asked.push(line);
    else if (line.event === 'answered') answers.set(line.call, line);
    else if (line.event === 'told') told.push(line);
    else if (line.event === 'acknowledged') acknowledged.set(line.call, line);
    else forged.push(line);
  }
  asked.sort((a, b) => a.atMs - b.atMs);
  const calls = asked.map((line): Call => {
    const { call: id, phase, delivery, atMs: askedMs, wallMs: askedWallMs } = line;
    const ask = { ...line.ask, wei: BigInt(line.ask.wei) };
    return { id, phase, delivery, ask, askedMs, askedWallMs, answer: answers.get(id) };
  });
  const tellings = told.map(({ call, atMs: toldMs, txId, said }): Telling => {
    return { txId, said, toldMs, answer: acknowledged.get(call) };
  });
  // What was given back has another answer from then on, and the check of that is another one.
  const questions = questionsOf(calls.filter(({ phase }) => phase !== 'after-release'));
  return { calls, forged, tellings, questions };
}

function questionsOf(calls: readonly Call[]): History['questions'] {
  const grouped = new Map<string, Call[]>();
  for (const call of calls) {
    const key = questionKey(call.ask);
    const group = grouped.get(key);
    if (group === undefined) grouped.set(key, [call]);
    else group.push(call);
  }
  const questions = new Map<string, Question>();
  for (const [key, group] of grouped) {
    const [first] = group;
    if (first === undefined) continue;
    const finals = group.flatMap(finalOf).sort((a, b) => a.atMs - b.atMs);
    questions.set(key, { ask: first.ask, calls: group, firstAskedMs: first.askedMs, finals });
  }
  return questions;
}

function finalOf(call: Call): readonly Final[] {
  const { answer } = call;
  if (answer === undefined || !isFinal(answer.outcome)) return [];
  const { outcome: action, reason, atMs, wallMs } = answer;
  return [{ call, action, reason, atMs, wallMs }];
}
