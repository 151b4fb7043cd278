/** The refusal of sound that a conversation would have to keep: it is text and pictures, for whichever model answers it next. */
import { ApiError } from '../../errors.ts';

/** @param instead what else the client can do, as the end of a sentence; else nothing */
export function noSoundKept(param: string, instead = ''): ApiError {
  const text = `A conversation that is kept here holds no sound (input_audio). Transcribe it first (POST /v1/audio/transcriptions), and send the text${instead}.`;
  return new ApiError(400, text, { param, code: 'unsupported' });
}
