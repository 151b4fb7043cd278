/** The service over a Redis Cluster of three masters, each with a replica. */
import { startCluster } from '../support/topologies.ts';
import { describeScenes } from './scenes.ts';

describeScenes('a Cluster', async () => startCluster());
