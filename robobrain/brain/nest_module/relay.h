// A node that repeats each spike that it gets, as NEST's parrot_neuron does (its port 0).

#ifndef ROBOBRAIN_RELAY_H
#define ROBOBRAIN_RELAY_H

#include "packed_node.h"

namespace robobrain
{

class PackedRelay : public PackedNode
{
public:
  using PackedNode::receives_signal;
  using PackedNode::sends_signal;

  nest::SignalType
  sends_signal() const override
  {
    return nest::ALL;
  }

  nest::SignalType
  receives_signal() const override
  {
    return nest::ALL;
  }

  void
  get_status( Dictionary& status ) const override
  {
    status[ RECORDED ] = recorded_;
  }

  void
  set_status( const Dictionary& status ) override
  {
    status.update_value( RECORDED, recorded_ );
  }

private:
  void
  update( const nest::Time& origin, const long from, const long to ) override
  {
    for ( long lag = from; lag < to; ++lag )
    {
      double& spikes = SharedInbox::at( *this, lag ).excitatory;
      if ( spikes > 0.0 )
      {
        const size_t multiplicity = static_cast< size_t >( spikes );
        spikes = 0.0;
        fire_( origin.get_steps(), lag, multiplicity );
      }
    }
  }
};

}

#endif
