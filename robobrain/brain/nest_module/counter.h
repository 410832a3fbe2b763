// A node that counts the spikes that it gets, where they can be read without asking NEST.

#ifndef ROBOBRAIN_COUNTER_H
#define ROBOBRAIN_COUNTER_H

#include <vector>

#include "packed_node.h"

namespace robobrain
{

// The counts of all counters; each writes to its own place.
inline std::vector< double > counts;

inline const std::string PLACE = "place";

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
    long place = place_;
    status.update_integer_value( PLACE, place );
    if ( place < 0 or static_cast< size_t >( place ) >= counts.size() )
    {
      throw nest::BadProperty( "There is no such place among the counts." );
    }
    place_ = place;
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
