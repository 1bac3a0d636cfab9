// Starts the kernel in the project's root, whichever folder Jupyter uses: the project is looked for upwards from the
// notebook's folder, then from this file (which `jupyter kernelspec install` may have copied elsewhere).
const fs = require('node:fs');
const path = require('node:path');

function projectAbove(folder) {
  for (let at = folder; ; at = path.dirname(at)) {
    try {
      if (JSON.parse(fs.readFileSync(path.join(at, 'package.json'), 'utf8')).name === 'qdetr') return at;
    } catch {
      // no package.json here, or not one of ours
    }
    if (at === path.dirname(at)) return null;
  }
}

const root = projectAbove(process.cwd()) ?? projectAbove(__dirname);
if (root === null) {
  console.error(`The Q-DETR kernel found no qdetr project above ${process.cwd()}: open a notebook inside the project's folder.`);
  process.exit(1);
}
if (!fs.existsSync(path.join(root, 'node_modules/tslab'))) {
  console.error(`The packages of ${root} are not installed: run 'npm ci' there, then start the kernel again.`);
  process.exit(1);
}
process.chdir(root);
require(path.join(root, 'notebooks/kernel/kernel.cjs')).start(process.argv[2]);
