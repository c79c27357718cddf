// Native ES modules, TypeScript compiled per file by swc: 0.8 s a suite, and the same module semantics as production.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

// The built program is started hundreds of times: what V8 made of its modules is kept for the next start, a third of it.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url));

export default {
  rootDir: '..',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true },
          target: 'es2023',
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Most of them wait for servers: three share two cores well.
  maxWorkers: Math.max(3, availableParallelism() - 1),
  workerIdleMemoryLimit: '512MB',
  testTimeout: 180_000,
};
