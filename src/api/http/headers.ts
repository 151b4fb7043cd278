/** What every answer says to browsers, refusals included: this is data of one caller, and no page, picture or script. */

export const API_HEADERS = {
  // Taken for what its content type says; else what a user wrote could become a page here.
  'x-content-type-options': 'nosniff',
  // Shown as a page or in a frame, it does nothing.
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  // No other origin embeds it. What CORS_ORIGINS allows is fetched, which this does not concern.
  'cross-origin-resource-policy': 'same-origin',
  // Paths hold ids.
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;
