// What arrives at neurons, step by step.
//
// NEST gives each neuron a buffer of its own with a slot for each step up to the longest delay, so that an update
// visits as many places in memory as there are neurons. Here the neurons of a thread share one buffer that is
// ordered by slot first: an update reads it from one end to the other. Neurons with more than two kinds of
// synapses are few, and keep one each.

#ifndef ROBOBRAIN_INBOX_H
#define ROBOBRAIN_INBOX_H

#include <algorithm>
#include <array>
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
  add( const double weight, size_t = 0 )
  {
    ( weight > 0.0 ? excitatory : inhibitory ) += weight;
  }
};

// AMPA, NMDA and GABA, the receptors of the basal ganglia; NEST counts them from 1.
constexpr size_t PORTS = 3;

// Sums of the weights of one step's spikes (pA) at each receptor.
struct PortArrival
{
  std::array< double, PORTS > sums {};

  void
  add( const double weight, const size_t port )
  {
    sums[ port - 1 ] += weight;
  }
};

template < typename Sums >
class Inbox
{
public:
  // Makes room for so many nodes, with some to spare, and NEST's longest delay; keeps what is there.
  void
  fit( const size_t nodes, const size_t spare = 0 )
  {
    const auto& connections = nest::kernel().connection_manager;
    const size_t slots = connections.get_min_delay() + connections.get_max_delay();
    if ( nodes <= nodes_ and slots <= slots_ )
    {
      return;
    }
    const size_t width = nodes <= nodes_ ? nodes_ : nodes + spare;
    std::vector< Sums > wider( std::max( slots, slots_ ) * width );
    for ( size_t slot = 0; slot < slots_; ++slot )
    {
      std::copy_n( arrivals_.begin() + slot * nodes_, nodes_, wider.begin() + slot * width );
    }
    slots_ = wider.size() / width;
    nodes_ = width;
    arrivals_.swap( wider );
  }

  // What arrives at a node in the given step of this slice.
  Sums&
  at( const size_t node, const long step )
  {
    return arrivals_[ nest::kernel().event_delivery_manager.get_modulo( step ) * nodes_ + node ];
  }

  // What arrives at a node when this event does.
  Sums&
  at( const size_t node, const nest::Event& event )
  {
    return at( node, event.get_rel_delivery_steps( nest::kernel().simulation_manager.get_slice_origin() ) );
  }

private:
  size_t nodes_ = 0;
  size_t slots_ = 0;
  std::vector< Sums > arrivals_;
};

// One for each thread, by the local index of its nodes; no thread touches another's.
inline std::vector< Inbox< Arrival > > inboxes;

// A node's place in the inbox of its thread.
struct SharedInbox
{
  static void
  fit( const nest::Node& node )
  {
    // Some devices may come later.
    const size_t nodes = nest::kernel().node_manager.get_local_nodes( node.get_thread() ).size();
    inboxes[ node.get_thread() ].fit( nodes, nodes / 32 + 32 );
  }

  template < typename When >
  static Arrival&
  at( const nest::Node& node, const When& when )
  {
    return inboxes[ node.get_thread() ].at( node.get_thread_lid(), when );
  }
};

// A node's own inbox.
class OwnInbox
{
public:
  void
  fit( const nest::Node& )
  {
    inbox_.fit( 1 );
  }

  template < typename When >
  PortArrival&
  at( const nest::Node&, const When& when )
  {
    return inbox_.at( 0, when );
  }

private:
  Inbox< PortArrival > inbox_;
};

}

#endif
