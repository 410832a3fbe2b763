// A neuron with synaptic currents whose state lies close together.
//
// It takes the part of NEST's iaf_psc_alpha, iaf_psc_exp or iaf_psc_alpha_multisynapse that a brain needs: static
// synapses, currents, and multimeters. It keeps no history of spikes for plastic synapses, has V_min with ports only,
// and does not fire at random.

#ifndef ROBOBRAIN_NEURON_H
#define ROBOBRAIN_NEURON_H

#include <memory>
#include <numeric>
#include <type_traits>

#include "dynamics.h"
#include "packed_node.h"
#include "recordables_map.h"
#include "ring_buffer.h"
#include "universal_data_logger_impl.h"

namespace robobrain
{

template < typename Dynamics >
class PackedNeuron : public PackedNode
{
public:
  PackedNeuron()
    : kind_( kind_of< Dynamics >( {} ) )
  {
    if ( recordables_.empty() )
    {
      recordables_.create();
    }
  }

  PackedNeuron( const PackedNeuron& other )
    : PackedNode( other )
    , dynamics_( other.dynamics_ )
    , i_e_( other.i_e_ )
    , kind_( other.kind_ )
  {
  }

  using PackedNode::handle;
  using PackedNode::handles_test_event;

  size_t
  handles_test_event( nest::SpikeEvent& event, const size_t receptor ) override
  {
    if constexpr ( not std::is_same_v< typename Dynamics::Inbox, OwnInbox > )
    {
      return PackedNode::handles_test_event( event, receptor );
    }
    if ( receptor < 1 or receptor > PORTS )
    {
      throw nest::IncompatibleReceptorType( receptor, get_name(), "SpikeEvent" );
    }
    return receptor;
  }

  size_t
  handles_test_event( nest::CurrentEvent&, const size_t receptor ) override
  {
    check_receptor_( receptor );
    if ( not company_().currents )
    {
      company_().currents = std::make_unique< nest::RingBuffer >();
    }
    return 0;
  }

  size_t
  handles_test_event( nest::DataLoggingRequest& request, const size_t receptor ) override
  {
    check_receptor_( receptor );
    return company_().logger.connect_logging_device( request, recordables_ );
  }

  void
  handle( nest::SpikeEvent& event ) override
  {
    inbox_.at( *this, event ).add( event.get_weight() * event.get_multiplicity(), event.get_rport() );
  }

  void
  handle( nest::CurrentEvent& event ) override
  {
    devices_->currents->add_value(
      event.get_rel_delivery_steps( nest::kernel().simulation_manager.get_slice_origin() ),
      event.get_weight() * event.get_current() );
  }

  void
  handle( nest::DataLoggingRequest& request ) override
  {
    devices_->logger.handle( request );
  }

  void
  get_status( Dictionary& status ) const override
  {
    kind_->parameters.get( status );
    status[ nest::names::I_e ] = i_e_;
    status[ nest::names::V_m ] = v_m();
    status[ RECORDED ] = recorded_;
    status[ nest::names::recordables ] = recordables_.get_list();
  }

  void
  set_status( const Dictionary& status ) override
  {
    auto parameters = kind_->parameters;
    double v = dynamics_.v;
    double i_e = i_e_;
    bool recorded = recorded_;
    const double moved = parameters.set( status, this );
    v -= nest::update_value_param( status, nest::names::V_m, v, this ) ? parameters.e_l : moved;
    nest::update_value_param( status, nest::names::I_e, i_e, this );
    status.update_value( RECORDED, recorded );
    kind_ = kind_of< Dynamics >( parameters );
    dynamics_.v = v;
    i_e_ = i_e;
    recorded_ = recorded;
  }

  double
  v_m() const
  {
    return dynamics_.v + kind_->parameters.e_l;
  }

  double
  i_ex() const
  {
    return dynamics_.i_ex;
  }

  double
  i_in() const
  {
    return dynamics_.i_in;
  }

  template < size_t index >
  double
  i_port() const
  {
    return dynamics_.i[ index ];
  }

  double
  i_all() const
  {
    return std::accumulate( dynamics_.i.begin(), dynamics_.i.end(), 0.0 );
  }

private:
  friend class nest::RecordablesMap< PackedNeuron >;
  friend class nest::UniversalDataLogger< PackedNeuron >;

  // What only the neurons have that a device reads or drives.
  struct Devices
  {
    explicit Devices( PackedNeuron& neuron )
      : logger( neuron )
    {
    }

    nest::UniversalDataLogger< PackedNeuron > logger;
    std::unique_ptr< nest::RingBuffer > currents;
  };

  Devices&
  company_()
  {
    if ( not devices_ )
    {
      devices_ = std::make_unique< Devices >( *this );
    }
    return *devices_;
  }

  void
  init_buffers_() override
  {
    if ( devices_ )
    {
      devices_->logger.reset();
    }
  }

  // Propagators act from here on, as those of NEST's neurons do; potentials, bounds and currents act at once.
  void
  pre_run_hook() override
  {
    inbox_.fit( *this );
    if ( kind_->h != nest::Time::get_resolution().get_ms() )
    {
      kind_ = kind_of< Dynamics >( kind_->parameters );
    }
    acting_ = kind_;
    if ( devices_ )
    {
      devices_->logger.init();
      if ( devices_->currents )
      {
        devices_->currents->resize();
      }
    }
  }

  void
  update( const nest::Time& origin, const long from, const long to ) override
  {
    const auto& propagators = acting_->propagators;
    const auto& parameters = kind_->parameters;
    for ( long lag = from; lag < to; ++lag )
    {
      if ( refractory_steps_ == 0 )
      {
        dynamics_.step_membrane( propagators, i_e_, parameters );
      }
      else
      {
        --refractory_steps_;
      }
      auto& arrival = inbox_.at( *this, lag );
      dynamics_.step_synapses( propagators, arrival );
      arrival = {};
      if ( dynamics_.v >= parameters.threshold )
      {
        refractory_steps_ = acting_->refractory_steps;
        dynamics_.v = parameters.v_reset;
        fire_( origin.get_steps(), lag );
      }
      if ( devices_ )
      {
        if ( devices_->currents )
        {
          dynamics_.input = devices_->currents->get_value( lag );
        }
        devices_->logger.record_data( origin.get_steps() + lag );
      }
    }
  }

  Dynamics dynamics_;
  double i_e_ = 0.0;
  const Kind< Dynamics >* kind_;
  const Kind< Dynamics >* acting_ = nullptr;
  int refractory_steps_ = 0;
  [[no_unique_address]] typename Dynamics::Inbox inbox_;
  std::unique_ptr< Devices > devices_;

  static nest::RecordablesMap< PackedNeuron > recordables_;
};

template < typename Dynamics >
nest::RecordablesMap< PackedNeuron< Dynamics > > PackedNeuron< Dynamics >::recordables_;

using PackedAlpha = PackedNeuron< AlphaCurrents >;
using PackedExponential = PackedNeuron< ExponentialCurrents >;
using PackedPorts = PackedNeuron< PortCurrents >;

}

namespace nest
{

template <>
inline void
RecordablesMap< robobrain::PackedAlpha >::create()
{
  insert_( names::V_m, &robobrain::PackedAlpha::v_m );
  insert_( names::I_syn_ex, &robobrain::PackedAlpha::i_ex );
  insert_( names::I_syn_in, &robobrain::PackedAlpha::i_in );
}

template <>
inline void
RecordablesMap< robobrain::PackedExponential >::create()
{
  insert_( names::V_m, &robobrain::PackedExponential::v_m );
  insert_( names::I_syn_ex, &robobrain::PackedExponential::i_ex );
  insert_( names::I_syn_in, &robobrain::PackedExponential::i_in );
}

template <>
inline void
RecordablesMap< robobrain::PackedPorts >::create()
{
  insert_( names::V_m, &robobrain::PackedPorts::v_m );
  insert_( names::I_syn, &robobrain::PackedPorts::i_all );
  insert_( "I_syn_1", &robobrain::PackedPorts::i_port< 0 > );
  insert_( "I_syn_2", &robobrain::PackedPorts::i_port< 1 > );
  insert_( "I_syn_3", &robobrain::PackedPorts::i_port< 2 > );
}

}

#endif
