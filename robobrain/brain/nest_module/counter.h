// A node that counts the spikes that it gets, where they can be read without asking NEST.

#ifndef ROBOBRAIN_COUNTER_H
#define ROBOBRAIN_COUNTER_H

#include "packed_node.h"
#include "places.h"

namespace robobrain
{

// The counts of all counters.
inline Places counts;

class PackedCounter : public PackedNode
{
public:
  void
  get_status( Dictionary& status ) const override
  {
    status[ PLACE ] = static_cast< long >( place_ );
  }

  void
  set_status( const Dictionary& status ) override
  {
    place_ = counts.chosen( status, place_ );
  }

private:
  void
  pre_run_hook() override
  {
    counts.check( place_ );
    PackedNode::pre_run_hook();
  }

  void
  update( const nest::Time&, const long from, const long to ) override
  {
    double arrived = 0.0;
    for ( long lag = from; lag < to; ++lag )
    {
      double& spikes = SharedInbox::at( *this, lag ).excitatory;
      arrived += spikes;
      spikes = 0.0;
    }
    if ( arrived > 0.0 )  // neighbours of other threads lie in the same line of the cache
    {
      counts[ place_ ] += arrived;
    }
  }

  size_t place_ = Places::NONE;
};

}

#endif
