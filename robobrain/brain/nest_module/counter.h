// A node that counts the spikes that it gets, where they can be read without asking NEST.

#ifndef ROBOBRAIN_COUNTER_H
#define ROBOBRAIN_COUNTER_H

#include <vector>

#include "packed_node.h"
#include "places.h"

namespace robobrain
{

// The counts of all counters; each writes to its own place.
inline std::vector< double > counts;

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
    place_ = place_in( counts, status, place_ );
  }

private:
  void
  update( const nest::Time&, const long from, const long to ) override
  {
    for ( long lag = from; lag < to; ++lag )
    {
      double& spikes = SharedInbox::at( *this, lag ).excitatory;
      counts[ place_ ] += spikes;
      spikes = 0.0;
    }
  }

  size_t place_ = 0;
};

}

#endif
