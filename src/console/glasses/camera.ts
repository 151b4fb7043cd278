/** Pictures as glasses send them: JPEG, and small enough for a slow connection. */
import { say } from '../say.ts';

/** The longer side, in pixels. */
const MAX_SIDE = 1_280;
const QUALITY = 0.85;

/** Its message is for the reader. */
export class CameraProblem extends Error {}

/** Whether there may be a webcam: browsers show theirs to pages of https and of this machine only. */
export function mayHaveWebcam(): boolean {
  // Missing where the page was loaded by plain http from another machine.
  return 'mediaDevices' in navigator;
}

/** @throws {CameraProblem} in words for the reader, where there is no camera or it may not be used. */
export async function openWebcam(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { facingMode: 'environment', width: { ideal: MAX_SIDE } },
    });
  } catch {
    throw new CameraProblem(
      say(
        'There is no camera that this page may use. Allow it in the browser, or choose a picture.',
        '此页面无法使用摄像头。请在浏览器中允许，或选择一张图片。',
      ),
    );
  }
}

export function closeWebcam(webcam: MediaStream | null): void {
  for (const track of webcam?.getTracks() ?? []) track.stop();
}

/** What the camera shows now, as a data URL. */
export function photograph(video: HTMLVideoElement): string {
  return drawn(video, video.videoWidth, video.videoHeight);
}

/** A file as a picture for the server. @throws {CameraProblem} in words for the reader, where the browser cannot read it. */
export async function pictureOf(file: Blob): Promise<string> {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (bitmap === null)
    throw new CameraProblem(
      say('This file is no picture that the browser can read.', '浏览器无法读取这个图片文件。'),
    );
  const url = drawn(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return url;
}

function drawn(source: CanvasImageSource, width: number, height: number): string {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height, 1));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext('2d')?.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/jpeg', QUALITY);
}
