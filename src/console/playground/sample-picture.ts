/** A picture for those who have none at hand. */

const WIDTH = 320;
const HEIGHT = 200;

/** A red house under a yellow sun. */
export async function samplePicture(): Promise<Blob> {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const pen = canvas.getContext('2d');
  if (pen !== null) {
    fill(pen, '#9fd3f5', [0, 0, WIDTH, HEIGHT]);
    fill(pen, '#5aa54b', [0, 150, WIDTH, 50]);
    fill(pen, '#c0392b', [110, 90, 100, 70]);
    fill(pen, '#6d4c2f', [150, 120, 20, 40]);
    pen.fillStyle = '#5b3a29';
    pen.beginPath();
    pen.moveTo(100, 92);
    pen.lineTo(160, 45);
    pen.lineTo(220, 92);
    pen.fill();
    pen.fillStyle = '#f7c531';
    pen.beginPath();
    pen.arc(270, 42, 22, 0, 2 * Math.PI);
    pen.fill();
  }
  return canvas.convertToBlob({ type: 'image/png' });
}

function fill(
  pen: OffscreenCanvasRenderingContext2D,
  colour: string,
  [x, y, width, height]: readonly [number, number, number, number],
): void {
  pen.fillStyle = colour;
  pen.fillRect(x, y, width, height);
}
