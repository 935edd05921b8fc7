// names, texts of figures, ends of links, scopes, captions, order of headings, ids
const found = [];
const say = (what, e) => found.push(what + ': ' + e.outerHTML.slice(0, 120));
const name = e => (e.getAttribute('aria-label') || e.textContent || '').trim();
document.querySelectorAll('a, summary, [role=region]').forEach(e => name(e) || say('no name', e));
document.querySelectorAll('svg').forEach(e => (e.closest('[role=img]') && name(e.closest('[role=img]'))) || say('no text for', e));
document.querySelectorAll('a[href^="#"]').forEach(e => document.getElementById(decodeURIComponent(e.hash.slice(1))) || say('leads nowhere', e));
document.querySelectorAll('th').forEach(e => e.scope || say('no scope', e));
document.querySelectorAll('table').forEach(e => e.caption || e.closest('[aria-label]') || e.closest('section') || say('no caption', e));
let level = 0;
document.querySelectorAll('h1, h2, h3, h4').forEach(e => { const l = +e.tagName[1]; if (l > level + 1) say('heading skips', e); level = l; });
if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
if (document.querySelectorAll('main').length !== 1) found.push('not one main');
if (!document.documentElement.lang) found.push('no language');
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
if (new Set(ids).size !== ids.length) found.push('an id stands twice: ' + ids.filter((x, i) => ids.indexOf(x) !== i)[0]);
return found.slice(0, 8);
