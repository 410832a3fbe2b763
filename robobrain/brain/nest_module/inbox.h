// What arrives at the neurons of one thread.
//
// NEST gives each neuron a buffer of its own with a slot for each step up to the longest delay, so that an update
// visits as many places in memory as there are neurons. Here the neurons of a thread share one buffer that is
// ordered by slot first: an update reads it from one end to the other.

#ifndef ROBOBRAIN_INBOX_H
#define ROBOBRAIN_INBOX_H

#include <algorithm>
#include <vector>

#include "event.h"
#include "event_delivery_manager.h"
#include "kernel_manager.h"

namespace robobrain
{

// Sums of the weights of one step's spikes (pA); a relay counts its spikes as excitatory.
struct Arrival
{
  double excitatory = 0.0;
  double inhibitory = 0.0;

  void
  add( const double weight )
  {
    ( weight > 0.0 ? excitatory : inhibitory ) += weight;
  }
};

class Inbox
{
public:
  // Makes room for so many nodes, some devices that may come later, and NEST's longest delay; keeps what is there.
  void
  fit( const size_t nodes )
  {
    const auto& connections = nest::kernel().connection_manager;
    const size_t slots = connections.get_min_delay() + connections.get_max_delay();
    if ( nodes <= nodes_ and slots <= slots_ )
    {
      return;
    }
    const size_t width = nodes <= nodes_ ? nodes_ : nodes + nodes / 32 + 32;
    std::vector< Arrival > wider( std::max( slots, slots_ ) * width );
    for ( size_t slot = 0; slot < slots_; ++slot )
    {
      std::copy_n( arrivals_.begin() + slot * nodes_, nodes_, wider.begin() + slot * width );
    }
    slots_ = wider.size() / width;
    nodes_ = width;
    arrivals_.swap( wider );
  }

  // What arrives at a node of the thread in the given step of this slice.
  Arrival&
  at( const size_t lid, const long step )
  {
    return arrivals_[ nest::kernel().event_delivery_manager.get_modulo( step ) * nodes_ + lid ];
  }

  // What arrives at a node of the thread when this event does.
  Arrival&
  at( const size_t lid, const nest::Event& event )
  {
    return at( lid, event.get_rel_delivery_steps( nest::kernel().simulation_manager.get_slice_origin() ) );
  }

private:
  size_t nodes_ = 0;
  size_t slots_ = 0;
  std::vector< Arrival > arrivals_;
};

// One for each thread; no thread touches another's.
inline std::vector< Inbox > inboxes;

inline Inbox&
inbox_of( const nest::Node& node )
{
  return inboxes[ node.get_thread() ];
}

inline void
make_room_for( const nest::Node& node )
{
  inbox_of( node ).fit( nest::kernel().node_manager.get_local_nodes( node.get_thread() ).size() );
}

}

#endif
