// Holds a Node server to loopback: by themselves the reference servers and the conformance suite listen on every
// interface. Below `listen`, so that a port is still known as soon as `listen` returns.
const net = require('net'), setup = net.Server.prototype._listen2;
net.Server.prototype._listen2 = function (address, port, type, ...rest) {
  return address === null && port > -1 ? setup.call(this, '127.0.0.1', port, 4, ...rest)
    : setup.call(this, address, port, type, ...rest);
};
