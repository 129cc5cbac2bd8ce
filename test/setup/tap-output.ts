// Reads the TAP that the test runner writes and counts it. A test is a point one level inside a file, so a
// `t.test` block is one test however much it asserts. A file that failed without a failing test of its own
// (crashed, timed out, ran nothing) counts as one failure. Never keeps more than the current file's lines.

export interface Failure {
  readonly file: string;
  readonly test: string;
  readonly detail: readonly string[];
}

export interface FileResult {
  readonly file: string;
  readonly ok: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: ReadonlyMap<string, number>; // reason → tests
  readonly seconds: number;
  readonly failures: readonly Failure[];
}

const POINT = /^(not ok|ok) \d+(?: - (.*))?$/;
const FILE_LINE = /^(not ok|ok) \d+ - (\S+\.test\.js)(.*)$/;
const MAX_DETAIL = 60;

function splitDirective(text: string): {
  readonly name: string;
  readonly skip: string | null;
  readonly seconds: number;
} {
  const skip = /#\s*(?:SKIP|TODO)\b\s*(.*)$/i.exec(text);
  const time = /#\s*time=([\d.]+)(m?s)/.exec(text);
  const seconds = time === null ? 0 : Number(time[1]) / (time[2] === 'ms' ? 1000 : 1);
  const name = text.replace(/\s*#\s*(?:SKIP|TODO|time=).*$/i, '');
  return { name, skip: skip === null ? null : (skip[1] ?? ''), seconds };
}

/** Feed it lines; it calls back once for each finished test file. */
export class TapReader {
  private lines: string[] = [];

  constructor(private readonly onFile: (result: FileResult) => void) {}

  line(text: string): void {
    const end = FILE_LINE.exec(text);
    if (end === null) {
      if (text.startsWith('    ')) this.lines.push(text.slice(4));
      else if (text.startsWith('# Subtest: ')) this.lines = [];
      return;
    }
    const { seconds, skip } = splitDirective(end[3] ?? '');
    this.onFile(summarise(end[2] ?? '', end[1] === 'ok', skip, seconds, this.lines));
    this.lines = [];
  }
}

function summarise(
  file: string,
  ok: boolean,
  fileSkip: string | null,
  seconds: number,
  lines: readonly string[],
): FileResult {
  let passed = 0;
  const failures: Failure[] = [];
  const skipped = new Map<string, number>();
  lines.forEach((line, index) => {
    const point = POINT.exec(line);
    if (point === null) return;
    const { name, skip } = splitDirective(point[2] ?? '');
    if (skip !== null) skipped.set(skip, (skipped.get(skip) ?? 0) + 1);
    else if (point[1] === 'ok') passed += 1;
    else failures.push({ file, test: name, detail: detailOf(lines, index) });
  });
  const points = passed + failures.length + skipped.size;
  if (failures.length === 0 && (!ok || points === 0)) {
    const why =
      points === 0 ? 'the file ran no test' : 'the file crashed, timed out or failed outside its tests';
    const said = fileSkip === null ? why : `${why} (${fileSkip})`;
    failures.push({ file, test: said, detail: lines.slice(-MAX_DETAIL) });
  }
  return { file, ok: failures.length === 0, passed, failed: failures.length, skipped, seconds, failures };
}

/** The failing test's own lines: its subtest block before the point, and the diagnostics after it. */
function detailOf(lines: readonly string[], index: number): readonly string[] {
  let start = index;
  while (start > 0 && (lines[start - 1] ?? '').startsWith('    ')) start -= 1;
  const inner = lines.slice(start, index).filter((line) => !/^\s+ok \d/.test(line));
  const outer: string[] = [];
  for (let at = index + 1; at < lines.length && (lines[at] ?? '').startsWith('  '); at += 1) {
    outer.push(lines[at] ?? '');
  }
  return [...inner, ...(inner.length > 1 ? [] : outer)].slice(0, MAX_DETAIL);
}
