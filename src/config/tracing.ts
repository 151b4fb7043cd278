/**
 * Traces are collected where the variables say so that OpenTelemetry defines. Its library reads most of them itself, as the
 * library of S3 does; here is what decides whether it is loaded, and what it leaves to us.
 */
import type { Env } from './env.ts';

/** The variables that are handed on to the processes of a deployment. */
export const TRACING_VARIABLES = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_SERVICE_NAME',
  'OTEL_RESOURCE_ATTRIBUTES',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
  'OTEL_BSP_SCHEDULE_DELAY',
  'OTEL_SDK_DISABLED',
] as const;

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

const PROTOCOL = 'http/protobuf';
const DELAY_MS = 5_000;
const DEFAULT_SAMPLER = 'parentbased_always_on';

/** What the environment says of tracing; `settings` is null where no traces are to be collected. */
export function tracingEnvironmentOf(env: Env) {
  const isNamed = Boolean(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']);
  const isOff = env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none';
  if (!isNamed || isOff) return { settings: null, notes: [] };
  const notes: string[] = [];
  const { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: ofTraces, OTEL_EXPORTER_OTLP_PROTOCOL: ofAll } = env;
  const protocol = ofTraces || ofAll || PROTOCOL;
  if (protocol !== PROTOCOL)
    notes.push(`Traces are sent as ${PROTOCOL}; OTEL_EXPORTER_OTLP_PROTOCOL asks for ${protocol}.`);
  const asked = env['OTEL_TRACES_SAMPLER'] || DEFAULT_SAMPLER;
  const known = SAMPLERS.find((name) => name === asked);
  if (known === undefined)
    notes.push(`OTEL_TRACES_SAMPLER: there is no '${asked}' here; ${DEFAULT_SAMPLER} is used.`);
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] || 1);
  return {
    settings: {
      delayMs: Number(env['OTEL_BSP_SCHEDULE_DELAY']) || DELAY_MS,
      sampler: known ?? DEFAULT_SAMPLER,
      ratio: ratio >= 0 && ratio <= 1 ? ratio : 1,
    },
    notes,
  };
}
