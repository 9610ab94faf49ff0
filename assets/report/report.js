'use strict';
// The page is complete without this script: it adds filters, the tooltip, tabs and the theme. Texts go through textContent only; the
// page's policy (require-trusted-types-for) has the browser refuse anything else.
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($('data').textContent);
  const { segments, observations } = data.report;
  const root = document.documentElement;
  root.classList.add('js');

  const make = (tag, text) => {
    const element = document.createElement(tag);
    element.textContent = text;
    return element;
  };
  const clock = (seconds) => {
    const whole = Math.floor(seconds + 1e-6);
    const two = (n) => String(n).padStart(2, '0');
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };
  const capitalised = (word) => word.replace(/^[a-z]/, (c) => c.toUpperCase());

  // ---- theme: what the system says, until the button is used; nothing is stored
  const theme = $('theme');
  const systemDark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : systemDark.matches);
  const nameTheme = () => { theme.textContent = isDark() ? 'Light' : 'Dark'; };
  theme.hidden = false;
  theme.addEventListener('click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; nameTheme(); });
  systemDark.addEventListener('change', nameTheme);
  nameTheme();

  // ---- summary: tabs and copy
  const artefacts = [...document.querySelectorAll('.artefact')];
  const tabs = $('tabs');
  let current = 0;
  const showArtefact = (index) => {
    current = index;
    artefacts.forEach((artefact, i) => { artefact.hidden = i !== index; });
    [...tabs.children].forEach((tab, i) => {
      tab.setAttribute('aria-selected', String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
    });
  };
  artefacts.forEach((artefact, i) => {
    const tab = make('button', artefact.querySelector('.form').textContent);
    tab.type = 'button';
    tab.id = `tab-${i}`;
    tab.setAttribute('role', 'tab');
    tab.setAttribute('aria-controls', artefact.id);
    artefact.setAttribute('role', 'tabpanel');
    artefact.setAttribute('aria-labelledby', tab.id);
    tab.addEventListener('click', () => showArtefact(i));
    tabs.append(tab);
  });
  tabs.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    showArtefact((current + step + artefacts.length) % artefacts.length);
    tabs.children[current].focus();
    event.preventDefault();
  });
  if (artefacts.length > 0) {
    showArtefact(0);
    tabs.hidden = artefacts.length < 2;
    const copy = $('copy');
    copy.hidden = false;
    copy.addEventListener('click', async () => {
      const text = data.artefacts[current].text;
      let done = false;
      try {
        await navigator.clipboard.writeText(text);
        done = true;
      } catch {
        // A page from a file may not use the clipboard in every browser: the old way then.
        const area = make('textarea', text);
        document.body.append(area);
        area.select();
        done = document.execCommand('copy');
        area.remove();
      }
      copy.textContent = done ? 'Copied' : 'Not copied';
      setTimeout(() => { copy.textContent = 'Copy Markdown'; }, 1600);
    });
  }

  // ---- what can be looked for
  const folded = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  const names = (list) => new Set(list.map(folded));
  const searchable = (item) => folded([item.description, ...item.apps, ...item.topics].join('\n'));
  const entries = segments.map((segment, i) => ({
    apps: names(segment.apps), topics: names(segment.topics), activity: segment.activity, text: searchable(segment),
    card: $(`s${i}`), span: document.querySelector(`.span[data-segment="${i}"]`), frames: [],
  }));
  const rest = $('rest');
  if (rest) entries.push({ apps: new Set(), topics: new Set(), activity: null, text: '', card: rest, span: null, frames: [] });
  const frameAt = new Map();
  for (const entry of entries) {
    for (const element of entry.card.querySelectorAll('.frame')) {
      const frame = observations[Number(element.dataset.frame)];
      const item = { element, count: Number(element.dataset.count), apps: names(frame.apps), topics: names(frame.topics), text: searchable(frame) };
      entry.frames.push(item);
      frameAt.set(element.id, entry);
    }
    // A name that only the segment has stands for all of its frames.
    for (const kind of ['apps', 'topics']) {
      for (const name of entry[kind]) {
        if (!entry.frames.some((frame) => frame[kind].has(name))) entry.frames.forEach((frame) => frame[kind].add(name));
      }
    }
  }
  const total = observations.length;

  // ---- filters
  const [words, activity, app, topic, clear] = ['words', 'activity', 'app', 'topic', 'clear'].map($);
  const addOptions = (select, list, shown = (name) => name) => {
    const options = new Map();
    for (const name of list) if (!options.has(folded(name))) options.set(folded(name), name);
    for (const name of [...options.values()].sort((a, b) => a.localeCompare(b))) {
      const option = make('option', shown(name));
      option.value = name;
      select.append(option);
    }
    select.hidden = options.size === 0;
  };
  const everything = [...segments, ...observations];
  addOptions(activity, segments.map((segment) => segment.activity), capitalised);
  addOptions(app, everything.flatMap((item) => item.apps));
  addOptions(topic, everything.flatMap((item) => item.topics));
  const chips = [...document.querySelectorAll('.chip')];

  const highlight = (wanted) => {
    if (!window.CSS || !CSS.highlights || !window.Highlight) return;
    CSS.highlights.delete('found');
    if (wanted.length === 0) return;
    const ranges = [];
    for (const text of document.querySelectorAll('.segment:not([hidden]) .description, .segment:not([hidden]) .tags bdi')) {
      const node = text.firstChild;
      if (!node || ranges.length > 2000) continue;
      const lower = node.data.toLowerCase();
      if (lower.length !== node.data.length) continue;
      for (const word of wanted) {
        for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set('found', new Highlight(...ranges));
  };

  const apply = () => {
    const wanted = folded(words.value).split(/\s+/).filter(Boolean);
    const [wantedApp, wantedTopic] = [folded(app.value), folded(topic.value)];
    const active = wanted.length > 0 || activity.value !== '' || wantedApp !== '' || wantedTopic !== '';
    const matches = (item) => (!wantedApp || item.apps.has(wantedApp)) && (!wantedTopic || item.topics.has(wantedTopic)) &&
      wanted.every((word) => item.text.includes(word));
    let shown = 0;
    let cards = 0;
    for (const entry of entries) {
      const inActivity = activity.value === '' || entry.activity === activity.value;
      let found = 0;
      for (const frame of entry.frames) {
        const stays = inActivity && matches(frame);
        frame.element.hidden = !stays;
        if (stays) found += frame.count;
      }
      // A segment without frames of its own is looked for by what it says itself.
      const stays = found > 0 || (inActivity && entry.frames.length === 0 && matches(entry));
      entry.card.hidden = !stays;
      if (entry.span) entry.span.classList.toggle('dim', !stays);
      shown += found;
      cards += stays ? 1 : 0;
      const details = entry.card.querySelector('details');
      if (!details || entry.card === rest) continue;
      if (wanted.length > 0 && stays && !details.open) {
        details.open = true;
        details.dataset.opened = 'filter';
      } else if (wanted.length === 0 && details.dataset.opened) {
        details.open = false;
        delete details.dataset.opened;
      }
    }
    $('count').textContent = active ? `Showing ${shown} of ${total} frames` : `${total} ${total === 1 ? 'frame' : 'frames'}`;
    $('none').hidden = cards > 0 || entries.length === 0;
    clear.disabled = !active;
    for (const chip of chips) chip.setAttribute('aria-pressed', String(chip.dataset.activity === activity.value));
    highlight(wanted);
  };
  const clearFilters = () => {
    for (const field of [words, activity, app, topic]) field.value = '';
    apply();
  };
  for (const chip of chips) {
    chip.disabled = false;
    chip.addEventListener('click', () => {
      activity.value = activity.value === chip.dataset.activity ? '' : chip.dataset.activity;
      apply();
    });
  }
  words.addEventListener('input', apply);
  for (const select of [activity, app, topic]) select.addEventListener('change', apply);
  clear.addEventListener('click', () => { clearFilters(); words.focus(); });
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  $('filters').hidden = total === 0 && segments.length === 0;
  apply();

  // ---- going to a segment or frame
  let chosen = [];
  const choose = (...elements) => {
    chosen.forEach((element) => element.classList.remove('chosen'));
    chosen = elements.filter(Boolean);
    chosen.forEach((element) => element.classList.add('chosen'));
  };
  const goToSegment = (entry) => {
    if (entry.card.hidden) clearFilters();
    const details = entry.card.querySelector('details');
    if (details) {
      details.open = true;
      delete details.dataset.opened;
    }
    choose(entry.card, entry.span);
    entry.card.scrollIntoView({ block: 'start' });
    entry.card.focus({ preventScroll: true });
  };
  for (const link of document.querySelectorAll('.to-frame')) {
    link.addEventListener('click', (event) => {
      const id = link.getAttribute('href').slice(1);
      const entry = frameAt.get(id);
      if (!entry) return;
      event.preventDefault();
      goToSegment(entry);
      choose(entry.card, entry.span, $(id));
      $(id).scrollIntoView({ block: 'center' });
    });
  }

  // ---- timeline
  const tip = $('tip');
  const spans = entries.filter((entry) => entry.span);
  const showTip = (entry, x) => {
    const segment = segments[Number(entry.span.dataset.segment)];
    const length = entry.card.querySelector('.length').textContent;
    const heading = make('b', `${capitalised(segment.activity)} \u00b7 ${length}`);
    const facts = make('span', [`${clock(segment.start_s)} \u2013 ${clock(segment.end_s)}`, ...segment.apps].join(' \u00b7 '));
    tip.replaceChildren(heading, facts, make('p', segment.description));
    tip.hidden = false;
    const box = entry.span.getBoundingClientRect();
    const middle = x === undefined ? box.left + box.width / 2 : x;
    const left = Math.max(8, Math.min(middle - tip.offsetWidth / 2, innerWidth - tip.offsetWidth - 8));
    const above = box.top - tip.offsetHeight - 10;
    tip.style.left = `${left}px`;
    tip.style.top = `${above >= 8 ? above : box.bottom + 44}px`;
  };
  const hideTip = () => { tip.hidden = true; };
  spans.forEach((entry, i) => {
    const { span } = entry;
    span.querySelector('title').remove();  // else the browser's own tooltip comes as well
    span.setAttribute('tabindex', i === 0 ? '0' : '-1');
    span.addEventListener('pointermove', (event) => showTip(entry, event.clientX));
    span.addEventListener('pointerleave', hideTip);
    span.addEventListener('focus', () => { if (span.matches(':focus-visible')) showTip(entry); });
    span.addEventListener('blur', hideTip);
    span.addEventListener('click', (event) => {
      event.preventDefault();
      hideTip();
      goToSegment(entry);
    });
    span.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') hideTip();
      const next = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: spans.length - 1 }[event.key];
      if (next === undefined || !spans[next]) return;
      event.preventDefault();
      span.setAttribute('tabindex', '-1');
      spans[next].span.setAttribute('tabindex', '0');
      spans[next].span.focus();
    });
  });
  addEventListener('scroll', hideTip, { passive: true });

  // ---- on paper everything is open
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not([open])')];
    closed.forEach((details) => { details.open = true; });
  });
  addEventListener('afterprint', () => {
    closed.forEach((details) => { details.open = false; });
    closed = [];
  });
})();
