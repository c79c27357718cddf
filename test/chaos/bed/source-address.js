/**
 * Loaded into each replica with --import: its connections come from an address of its own in 127.0.0.0/8, so that the
 * proxy between it and the stores knows who is calling. Redis and Sentinel have a setting for this (bind-source-addr).
 */
import { Socket } from 'node:net';

const from = process.env.CHAOS_SOURCE_ADDRESS;
const { connect } = Socket.prototype;

/** @this {Socket} @param {any[]} args */
Socket.prototype.connect = function connectFrom(...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (from !== undefined && typeof options?.host === 'string' && options.host.startsWith('127.'))
    options.localAddress ??= from;
  return connect.apply(this, args);
};
