/** The rows of one workspace: every statement takes the workspace as its first parameter, and is prepared once. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';

export type Row = Readonly<Record<string, SQLOutputValue>>;

export class Rows {
  readonly #database: DatabaseSync;
  readonly #workspace: string;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, workspace: string) {
    this.#database = database;
    this.#workspace = workspace;
  }

  one(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#prepared(sql).get(this.#workspace, ...values);
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#prepared(sql).all(this.#workspace, ...values);
  }

  write(sql: string, ...values: readonly SQLInputValue[]): void {
    this.#prepared(sql).run(this.#workspace, ...values);
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
