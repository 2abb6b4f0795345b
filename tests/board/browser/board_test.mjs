// The dashboard as a person uses it: open, filter, compare, play, live, 10,000 runs.
// Every wait is for a condition. What is measured is printed, never asserted.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { rmSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { CHROMIUM, POLYPHONY, BOARD_STORE } = process.env;
const patience = 60_000;
const errors = [];

function store(name, runs, values, metrics = 4) {
  const folder = join(process.cwd(), name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  execFileSync(BOARD_STORE, [folder, ...[runs, values, metrics].map(String)], { stdio: 'inherit' });
  return folder;
}

/** `polyphony board` over a folder's store; the address that it prints. */
async function board(folder) {
  const process = spawn(POLYPHONY, ['board', '--store', join(folder, 'runs.db'), '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise((resolve, reject) => {
    let text = '';
    process.stdout.on('data', data => {
      text += data;
      if (text.includes('\n')) resolve(text.trim());
    });
    process.on('exit', code => reject(new Error(`polyphony board ended with ${code}`)));
  });
  return { url, stop: () => new Promise(done => { process.removeAllListeners('exit'); process.on('exit', done); process.kill('SIGTERM'); }) };
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'] });

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.on('pageerror', error => errors.push(`${error.message}\n${error.stack}`));
  page.on('console', message => {
    // Chromium itself reports each 400, which the filter's test provokes.
    if (message.type() === 'error' && !message.text().includes('status of 400')) errors.push(message.text());
  });
  await page.goto(url);
  return page;
}

const cells = page => page.$$eval('.row .cell a', links => links.map(link => link.textContent));
const waitRows = (page, count) => page.waitForFunction(wanted => document.querySelector('.runs footer span')?.textContent.startsWith(wanted), count);

async function small() {
  const folder = store('small', 60, 400);
  const server = await board(folder);

  const tests = {
    async 'opens with the newest runs first'() {
      const page = await open(server.url);
      await waitRows(page, '60 runs');
      assert.match((await cells(page))[0], /-19$/);
      assert.equal(await page.locator('.state.failed').first().textContent(), 'failed');
      await page.waitForFunction(() => document.getElementById('live').dataset.state === 'live');
      await page.context().close();
    },

    async 'filters in the language of the command line and says what is wrong'() {
      const page = await open(server.url);
      await waitRows(page, '60 runs');
      await page.keyboard.press('/');
      await page.keyboard.type('test_f1 > 0.8 and model.hidden <= 256');
      await page.waitForFunction(() => / of 60 runs/.test(document.querySelector('.runs footer span').textContent));
      assert.match(page.url(), /where=test_f1/);
      // The address alone shows the same.
      const again = await open(page.url());
      await again.waitForFunction(() => / of 60 runs/.test(document.querySelector('.runs footer span')?.textContent));
      assert.deepEqual(await cells(again), await cells(page));
      await page.fill('.filter input', 'tset_f1 > 0.8');
      await page.waitForSelector('.filter .error:not([hidden])');
      assert.match(await page.textContent('.filter .error'), /did you mean `test_f1`/);
      await page.context().close();
      await again.context().close();
    },

    async 'sorts, groups and chooses columns'() {
      const page = await open(server.url);
      await waitRows(page, '60 runs');
      await page.click('.thead button:has-text("test_f1")');
      await page.waitForFunction(() => {
        const values = [...document.querySelectorAll('.row')].map(row => Number(row.querySelectorAll('.cell')[6]?.textContent));
        return values.length > 5 && values.every((value, i) => i === 0 || value <= values[i - 1]);
      });
      await page.click('button:has-text("columns")');
      await page.fill('.picker input', 'optimizer.lr');
      await page.check('.picks label:has-text("optimizer.lr") input');
      await page.keyboard.press('Escape');
      await page.waitForSelector('.thead button:has-text("optimizer.lr")');
      await page.selectOption('.tools select', 'model._target_');
      await page.waitForFunction(() => document.querySelectorAll('.row.group').length === 3);
      await page.click('.row.group >> nth=0');
      await page.waitForFunction(() => document.querySelectorAll('.row:not(.group)').length > 5);
      await page.context().close();
    },

    async 'is used by keys alone: move, choose, compare, open'() {
      const page = await open(server.url);
      await waitRows(page, '60 runs');
      for (const key of ['x', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'x']) await page.keyboard.press(key);
      await page.waitForFunction(() => document.querySelectorAll('.row[aria-selected="true"]').length === 2);
      await page.keyboard.press('4');
      await page.waitForSelector('table.diff');
      assert.match(await page.textContent('table.diff'), /optimizer\.lr/);
      await page.waitForSelector('td.best');
      await page.keyboard.press('1');
      await waitRows(page, '60 runs');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.runhead h1');
      await page.keyboard.press('?');
      await page.waitForSelector('dialog[open]');
      await page.context().close();
    },

    async 'draws curves, pans, zooms, smooths, bands, logarithms, and saves them'() {
      const page = await open(`${server.url}#curves?sel=58,59,60&metric=val_loss`);
      await page.waitForSelector('.panel[data-ready]');
      const inked = () => page.$eval('.plot canvas', canvas => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100 && Math.abs(data[i] - data[i + 2]) > 60) ++count;
        return count;
      });
      assert.ok(await inked() > 300, 'no curve is drawn');
      const box = await page.locator('.plot canvas').boundingBox();
      await page.mouse.move(box.x + 500, box.y + 100);
      await page.waitForSelector('.tip:not([hidden])');
      assert.match(await page.textContent('.tip'), /60/);
      await page.mouse.down();
      await page.mouse.move(box.x + 300, box.y + 100, { steps: 5 });
      await page.mouse.up();
      for (const key of ['+', '+', 'ArrowRight', '-', '0']) await page.locator('.plot canvas').press(key);
      for (const extra of ['&smooth=0.9', '&logy=1', '&logx=1', '&x=time', '&x=epoch', '&band=optimizer.lr', '&band=name&smooth=0.5&logy=1']) {
        await page.evaluate(hash => { location.hash = hash; }, `curves?sel=58,59,60&metric=val_loss${extra}`);
        await page.waitForTimeout(50);
        await page.waitForFunction(() => document.querySelector('.panel[data-ready]'));
        assert.ok(await inked() > 100, `no curve is drawn with ${extra}`);
      }
      for (const kind of ['PNG', 'SVG']) {
        const [file] = await Promise.all([page.waitForEvent('download'), page.click(`.panel button:has-text("${kind}")`)]);
        const bytes = readFileSync(await file.path());
        assert.ok(kind === 'PNG' ? bytes.subarray(1, 4).toString() === 'PNG' : bytes.toString().startsWith('<svg'), `${kind} is none`);
        assert.ok(bytes.length > 2000);
      }
      await page.context().close();
    },

    async 'explores hyper-parameters'() {
      const page = await open(`${server.url}#explore`);
      await page.waitForFunction(() => document.querySelector('.legend span')?.textContent.startsWith('60 of 60'));
      const axis = await page.locator('.parallel svg g').last().boundingBox();
      await page.mouse.move(axis.x + axis.width / 2, axis.y + 30);
      await page.mouse.down();
      await page.mouse.move(axis.x + axis.width / 2, axis.y + 130, { steps: 4 });
      await page.mouse.up();
      await page.waitForFunction(() => !document.querySelector('.legend span').textContent.startsWith('60 of 60'));
      await page.context().close();
    },

    async 'plays what was misclassified, with its transcript as text'() {
      const page = await open(`${server.url}#run?run=60&tab=predictions`);
      await page.waitForSelector('.items li');
      assert.equal(await page.locator('.matrix button').count(), 9);
      const played = await page.$eval('audio', audio => new Promise((resolve, reject) => {
        audio.addEventListener('timeupdate', () => { if (audio.currentTime > 0.05) resolve(audio.duration); });
        audio.addEventListener('error', () => reject(new Error('the recording cannot be played')));
        audio.play().catch(reject);
      }));
      assert.ok(Math.abs(played - 0.5) < 0.01, `plays ${played} s of 0.5`);
      await page.click('.chip:has-text("right ones too")');
      await page.waitForFunction(() => document.querySelectorAll('.items li').length === 50);
      assert.match(await page.textContent('.items'), /<b>tučně<\/b>/);
      assert.equal(await page.locator('.items b').count(), 0);
      await page.context().close();
    },

    async 'shows console, system, configuration and code'() {
      const page = await open(`${server.url}#run?run=60&tab=console`);
      await page.waitForFunction(() => document.querySelector('.console')?.textContent.includes("<script>alert('console')</script>"));
      await page.keyboard.press(']');
      await page.waitForFunction(() => document.querySelectorAll('.panel').length === 2);
      await page.goto(`${server.url}#run?run=60&tab=config`);
      await page.waitForFunction(() => document.querySelector('pre.code')?.textContent.includes('weight_decay'));
      await page.goto(`${server.url}#run?run=60&tab=code`);
      await page.waitForSelector('pre.code');
      await page.context().close();
    },

    async 'shows what happens while it happens'() {
      const page = await open(server.url);
      await waitRows(page, '60 runs');
      await page.waitForFunction(() => document.getElementById('live').dataset.state === 'live');
      execFileSync(BOARD_STORE, [folder, '3', '40']);
      await waitRows(page, '63 runs');
      await page.waitForFunction(() => document.querySelector('.row .cell:nth-child(2)')?.textContent === '63');
      await page.context().close();
    },

    async 'has a light and a dark side, and remembers which'() {
      const page = await open(server.url, { colorScheme: 'light' });
      await waitRows(page, '63 runs');
      const ground = () => page.$eval('body', body => getComputedStyle(body).backgroundColor);
      const light = await ground();
      await page.keyboard.press('t');
      const dark = await ground();
      assert.notEqual(light, dark);
      await page.reload();
      await waitRows(page, '63 runs');
      assert.equal(await ground(), dark);
      await page.context().close();
    },
  };
  for (const [name, test] of Object.entries(tests)) {
    const begun = performance.now();
    try {
      await test();
    } catch (error) {
      console.log(`FAILED  ${name}\n${error.stack}`);
      process.exitCode = 1;
      continue;
    }
    console.log(`passed  ${name} (${Math.round(performance.now() - begun)} ms)`);
  }
  await server.stop();
}

/** 10,000 runs and 1,000,000 values; then 100 curves of 10,000 values. */
async function large() {
  const folder = store('large', 10_000, 100);
  const server = await board(folder);
  const page = await open(server.url);
  await waitRows(page, '10000 runs');
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  const rows = await page.evaluate(() => performance.now());
  console.log(`10,000 runs: first paint after ${Math.round(paint)} ms, page and rows within ${Math.round(rows)} ms`);
  assert.ok(await page.locator('.row').count() < 100, 'rows out of sight exist');
  await page.$eval('.tbody', body => { body.scrollTop = body.scrollHeight; });
  await page.waitForFunction(() => [...document.querySelectorAll('.row .cell:nth-child(2)')].some(cell => cell.textContent === '1'));
  await page.fill('.filter input', 'test_f1 > 0.85');
  await page.waitForFunction(() => / of 10000 runs/.test(document.querySelector('.runs footer span').textContent));
  await page.goto(`${server.url}#explore`);
  await page.waitForFunction(() => document.querySelector('.legend span')?.textContent.startsWith('10000 of 10000'));
  console.log('passed  10,000 runs are listed, scrolled, filtered and explored');
  await page.context().close();
  await server.stop();
  rmSync(folder, { recursive: true });

  const curves = store('curves', 100, 10_000, 1);
  const second = await board(curves);
  const ids = Array.from({ length: 100 }, (_, i) => i + 1).join(',');
  const chart = await open(`${second.url}#curves?sel=${ids}&metric=train_loss&wide=1`);
  await chart.waitForSelector('.panel[data-ready]');
  const box = await chart.locator('.plot canvas').boundingBox();
  for (let i = 0; i < 5; ++i) await chart.locator('.plot canvas').press('+');
  await chart.waitForTimeout(1500);  // the finer points, and the strip that is panned
  await chart.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const tick = now => {
      window.frames_.push(now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await chart.mouse.move(box.x + 1100, box.y + 200);
  await chart.mouse.down();
  for (let i = 0; i < 120; ++i) await chart.mouse.move(box.x + 1100 - 9 * i, box.y + 200 + (i % 3));
  const frames = (await chart.evaluate(() => window.frames_)).slice(5).sort((a, b) => a - b);
  const at = share => frames[Math.floor(share * (frames.length - 1))].toFixed(1);
  console.log(`panning 100 curves of 10,000 values: ${frames.length} frames, median ${at(0.5)} ms, 95 % within ${at(0.95)} ms, longest ${at(1)} ms`);
  await chart.mouse.up();
  await chart.context().close();
  await second.stop();
  rmSync(curves, { recursive: true });
}

const only = process.argv[2];
try {
  if (only !== 'large') await small();
  if (only !== 'small') await large();
} finally {
  await browser.close();
}
for (const error of errors) console.log(`FAILED  the page reported: ${error}`);
if (errors.length) process.exitCode = 1;
