// The body of a function that runs in the page: returns the texts whose
// contrast with what is behind them is less than WCAG's AA asks for.

const channels = (color) => (color.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);

function luminance(color)
{
	const [r, g, b] = channels(color).map((c) => c / 255)
		.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);

	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ground(element)
{
	for (let e = element; e; e = e.parentElement)
	{
		const color = getComputedStyle(e).backgroundColor;
		const alpha = channels(color)[3];

		if (alpha === undefined || alpha === 1)
			return color;
	}
	return 'rgb(255, 255, 255)';
}

function tooFaint(element)
{
	const style = getComputedStyle(element);
	const ink = luminance(element instanceof SVGElement ? style.fill : style.color);
	const paper = luminance(ground(element));
	const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
	const size = parseFloat(style.fontSize);
	const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);

	return ratio < (large ? 3 : 4.5);
}

const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const faint = [];

while (texts.nextNode())
{
	const element = texts.currentNode.parentElement;

	if (texts.currentNode.data.trim() !== '' && element.getClientRects().length > 0 && tooFaint(element))
		faint.push(element.tagName + '.' + element.className + ': ' + texts.currentNode.data);
}
return faint;
