// words whose contrast with what is behind them is below 4.5, WCAG 2.1 AA
function channels(c) { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; }
function light(c) { const f = c.slice(0, 3).map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; }
function behind(e) { for (; e; e = e.parentElement) { const c = channels(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; }
  return [255, 255, 255, 1]; }
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.getClientRects().length || e.closest('style')) continue;
  const s = getComputedStyle(e), colour = e.closest('svg') ? s.fill : s.color;
  if (!colour.startsWith('rgb')) continue;
  const a = light(channels(colour)), b = light(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) found.push([walk.currentNode.data.trim().slice(0, 40), ratio.toFixed(2), e.tagName]);
}
return found.slice(0, 8);
