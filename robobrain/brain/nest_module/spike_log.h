// The spikes of the recorded neurons, where they are fired.
//
// A recorder of NEST gets each spike by a connection, which costs a fetch from memory for each of them.

#ifndef ROBOBRAIN_SPIKE_LOG_H
#define ROBOBRAIN_SPIKE_LOG_H

#include <cstdint>
#include <vector>

#include "node.h"

namespace robobrain
{

// One for each thread. A spike is its step times 2^32, plus the identifier of its neuron.
inline std::vector< std::vector< std::int64_t > > spike_logs;

inline void
log_spike( const nest::Node& node, const long step, const size_t multiplicity = 1 )
{
  const auto sender = static_cast< std::int64_t >( node.get_node_id() );
  auto& log = spike_logs[ node.get_thread() ];
  log.insert( log.end(), multiplicity, ( static_cast< std::int64_t >( step ) << 32 ) | sender );
}

}

#endif
