// A node that repeats each spike that it gets, as NEST's parrot_neuron does (its port 0).

#ifndef ROBOBRAIN_RELAY_H
#define ROBOBRAIN_RELAY_H

#include "event_delivery_manager_impl.h"
#include "inbox.h"
#include "neuron.h"
#include "spike_log.h"

namespace robobrain
{

class PackedRelay : public nest::Node
{
public:
  using Node::handle;
  using Node::handles_test_event;
  using Node::receives_signal;
  using Node::sends_signal;

  size_t
  send_test_event( Node& target, const size_t receptor, nest::synindex, bool ) override
  {
    nest::SpikeEvent event;
    event.set_sender( *this );
    return target.handles_test_event( event, receptor );
  }

  size_t
  handles_test_event( nest::SpikeEvent&, const size_t receptor ) override
  {
    if ( receptor != 0 )
    {
      throw nest::UnknownReceptorType( receptor, get_name() );
    }
    return 0;
  }

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
  handle( nest::SpikeEvent& event ) override
  {
    inbox_of( *this ).at( get_thread_lid(), event ).excitatory += static_cast< double >( event.get_multiplicity() );
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
  pre_run_hook() override
  {
    make_room_for( *this );
  }

  void
  update( const nest::Time& origin, const long from, const long to ) override
  {
    Inbox& inbox = inbox_of( *this );
    for ( long lag = from; lag < to; ++lag )
    {
      double& spikes = inbox.at( get_thread_lid(), lag ).excitatory;
      if ( spikes > 0.0 )
      {
        nest::SpikeEvent event;
        event.set_multiplicity( static_cast< size_t >( spikes ) );
        spikes = 0.0;
        nest::kernel().event_delivery_manager.send( *this, event, lag );
        if ( recorded_ )
        {
          log_spike( *this, origin.get_steps() + lag + 1, event.get_multiplicity() );
        }
      }
    }
  }

  bool recorded_ = false;
};

}

#endif
