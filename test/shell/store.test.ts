// The LMDB store: the contract, and what only a file on a disk can suffer.

import t, { type Test } from 'tap';
import { openStore } from '../../src/shell/lmdb.js';
import { storeContract } from './store-contract.js';

storeContract(t, (t: Test) => {
  const dir = t.testdir();
  return () => openStore(`${dir}/state`);
});
