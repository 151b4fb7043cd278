/**
 * Headers of every answer, refusals included. They tell browsers that this is data of one caller, and no page, picture
 * or script.
 */

export const API_HEADERS = {
  // Browsers must trust the content type; otherwise a user's text could become a page here.
  'x-content-type-options': 'nosniff',
  // An answer shown as a page or in a frame does nothing.
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  // No other origin may embed it. Pages in CORS_ORIGINS fetch instead, which this header does not affect.
  'cross-origin-resource-policy': 'same-origin',
  // Paths hold ids.
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;
