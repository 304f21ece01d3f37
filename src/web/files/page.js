// Makes the page live: it renews itself when something happened, and shows times in the reader's zone. Everything works without it.
const main = () => document.querySelector('main');
const isChanged = (field) => {
  if (['checkbox', 'radio'].includes(field.type)) return field.checked !== field.defaultChecked;
  if (field.tagName !== 'SELECT') return field.value !== field.defaultValue;
  return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
};
const isBusy = () => document.querySelector('main form :focus, dialog[open]') !== null
  || [...document.querySelectorAll('main :is(input, select, textarea)')].some(isChanged);

const two = (number) => String(number).padStart(2, '0');
function localTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const when = new Date(time.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    time.title = when.toLocaleString();
    const clock = `${two(when.getHours())}:${two(when.getMinutes())}`;
    if (time.dataset.at === 'clock') time.textContent = clock;
    if (time.dataset.at === 'date') time.textContent = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${clock}`;
  }
}
const nameOf = (details) => details.id || details.querySelector('summary')?.textContent;

async function renew() {
  if (isBusy() || document.hidden || !main()?.dataset.live) return;
  try {
    const answer = await fetch(location.href, { headers: { 'X-Renew': '1' } });
    if (!answer.ok || answer.redirected) return;
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
    const opened = new Set([...document.querySelectorAll('main details[open]')].map(nameOf));
    if (next) {
      localTimes(next);
      for (const details of next.querySelectorAll('details')) if (opened.has(nameOf(details))) details.open = true;
    }
    if (next && !isBusy() && next.innerHTML !== main().innerHTML) {
      main().replaceWith(next);
    }
  } catch { /* The service is away: the page stays as it is. */ }
}

let events = null;
function listen() {
  const at = document.documentElement.dataset.events;
  if (!at || events || document.hidden || !main()?.dataset.live) return;
  events = new EventSource(at);
  events.addEventListener('change', renew);
  // What happened before it listened, or while the service was away.
  events.addEventListener('open', renew);
}
document.addEventListener('visibilitychange', () => {
  if (document.hidden) { events?.close(); events = null; } else { renew(); listen(); }
});

// What works with a script only is shown where there is one.
for (const hidden of document.querySelectorAll('[data-script]')) hidden.hidden = false;

// Posters before and after, one over the other: a slider fades between them; arrow keys go to the next pair.
for (const slider of document.querySelectorAll('input[type=range][data-fade]')) {
  const over = document.getElementById(slider.dataset.fade);
  slider.addEventListener('input', () => { if (over) over.style.opacity = slider.value / 100; });
}
document.addEventListener('keydown', (event) => {
  if (event.target.matches('input, select, textarea') || !['ArrowRight', 'ArrowLeft'].includes(event.key)) return;
  const pairs = [...document.querySelectorAll('.pair')];
  if (!pairs.length) return;
  const at = pairs.indexOf(document.activeElement?.closest('.pair'));
  const next = pairs[Math.min(pairs.length - 1, Math.max(0, at + (event.key === 'ArrowRight' ? 1 : -1)))];
  next?.focus();
  next?.scrollIntoView({ block: 'center' });
});

localTimes(document);
for (const zone of document.querySelectorAll('[data-zone]')) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
listen();
