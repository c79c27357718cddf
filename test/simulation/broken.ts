/** A promise that was not kept. */
export type Promised =
  | 'one answer'
  | 'the limit'
  | 'one number each'
  | 'the order of time'
  | 'nothing answered is lost'
  | 'a freeze holds'
  | 'a destination cools off'
  | 'a release is right'
  | 'what is left is kept'
  | 'what is lost is told'
  | 'what is done is done'
  | 'it comes back'
  | 'no defect';

export class Broken extends Error {
  readonly promised: Promised;

  constructor(promised: Promised, message: string) {
    super(`${promised}: ${message}`);
    this.promised = promised;
  }
}
