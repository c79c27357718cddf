/** What people are told about the witnesses of a ledger. */
import { messageOf } from '../../core/errors.js';
import type { LedgerProblem, WitnessState } from '../../core/fence.js';
import type { WitnessSurvey } from '../witness/ports.js';
import { majorityOf } from '../witness/quorum.js';

export function witnessState(survey: PromiseSettledResult<WitnessSurvey>): WitnessState {
  if (survey.status === 'rejected') return { kind: 'unreachable', problem: messageOf(survey.reason) };
  if (survey.value.kind === 'blank') return { kind: 'blank' };
  return { kind: 'member', promised: survey.value.promised, events: survey.value.events };
}

/** @param faults of each witness, in the same order: why it cannot be relied upon, or soon not; none of one that does not answer */
export function witnessProblems(
  states: readonly WitnessState[],
  faults: readonly PromiseSettledResult<readonly LedgerProblem[]>[],
): readonly LedgerProblem[] {
  return [
    ...faults.flatMap((found, index) =>
      (found.status === 'fulfilled' ? found.value : []).map(({ text, ...fault }) => ({
        ...fault,
        text: `Witness ${index + 1}${fault.blocks ? ' cannot be relied upon' : ''}: ${text}`,
      })),
    ),
    ...majorityProblems(states),
    ...states.flatMap((state, index) => stateProblems(state, index + 1)),
  ];
}

function majorityProblems(states: readonly WitnessState[]): readonly LedgerProblem[] {
  const members = states.filter(({ kind }) => kind === 'member').length;
  const needed = majorityOf(states.length);
  if (members >= needed) return [];
  const then =
    states.filter(({ kind }) => kind === 'blank').length >= needed
      ? 'Most have lost their disks. Bring those disks back; when they are lost for good, an operator says what the ledger is: `countersign ledger activate --dry-run` shows what is left.'
      : 'Bring them back with the disks they had.';
  const text = `Nothing is decided: ${members} of ${states.length} witnesses can vote, and ${needed} must. ${then}`;
  return [{ code: 'WITNESSES', text, blocks: true }];
}

function stateProblems(state: WitnessState, number: number): readonly LedgerProblem[] {
  if (state.kind === 'member') return [];
  const text =
    state.kind === 'blank'
      ? 'is blank: its disk was lost, or it was never set up. `countersign ledger init-witness` gives it the log and a vote'
      : `does not answer (${state.problem})`;
  return [{ code: 'WITNESS', text: `Witness ${number} ${text}.`, blocks: false }];
}
