/**
 * The tool `take_a_photo`: declared here so that assistants find its description and parameters, answered by the
 * caller's device, which has the camera (src/turns/photo.ts says what becomes of its answer).
 */
import { z } from 'zod';
import { defineTool, ToolError } from '../runs/tool.ts';

export default defineTool({
  name: 'take_a_photo',
  description:
    "Takes a photo with the camera of the user's device and shows it to you. Use it when the answer depends on what the " +
    'user sees, and do not describe anything that you have not been shown.',
  parameters: z.object({}, { error: 'The arguments must be an empty JSON object.' }),
  answeredBy: 'device',
  isolated: false,
  run() {
    throw new ToolError(
      "take_a_photo is answered by the device that asked, not by this service. Submit the picture's URL, or a data URL " +
        'of it, as the output of the call; devices that chat send a user message with nothing but the picture.',
    );
  },
});
