package Test::Idpay::Sim;

# A running simulator as a test sees it.
#
#   ->port ->host ->name ->provider ->address     127.0.0.1:port
#   ->tls                      whether it speaks TLS
#   ->limits                   directives of its upstream block, see
#                              Test::Idpay::Upstream
#   ->requests                 [{method, target, headers, raw, body, ...}, ...]
#                              raw and body decoded; body undef where it was
#                              too long to be kept (body_length, body_sha256)
#   ->last_request
#   ->header($request, $name)  list of values of a recorded request
#   ->wait_requests($n)        waits until there are $n, returns them
#   ->clear                    forgets the requests, and what was counted
#   ->record($keep)            0: none are recorded, as suits a load
#   ->series                   [[ms since the first request, requests], ...]
#                              for each 100 ms, up to the last request
#   ->count_by($header)        {value => requests}, from the first time that it
#   ->count_by(member => $m)   was asked for; a member of the JSON body
#   ->limit(%how)              see Idpay::Sim::Limit; without arguments: none
#   ->limited                  {accepted => n, refused => n} since then
#   ->connections ->handshakes ->bytes    since the start; bytes: of requests
#   ->open_connections         now
#   ->misbehave(%rule)         see Idpay::Sim; body and raw are plain strings,
#                              json => data is a body of that type
#   ->release($n)              gives the answers that a rule holds back, all of
#                              them or the first $n
#   ->behave                   removes all rules
#   ->expect(%credentials)     what is accepted from now on
#   ->act(%what)               what happens at the provider; its answer
#   ->stop

use strict;
use warnings;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use Mojo::JSON     qw(decode_json encode_json);
use MIME::Base64   qw(decode_base64 encode_base64);
use Test::Idpay::Client qw(request);
use Test::Idpay::Process qw(wait_until);

use constant { START_DEADLINE => 30, STOP_DEADLINE => 20, WAIT_DEADLINE => 20 };

my $lib = abs_path(dirname(__FILE__) . '/../..');


sub start {
    my ($class, %how) = @_;

    my $process = Test::Idpay::Process->start(
        command => [ $^X, "-I$lib", "$lib/../sim/$how{provider}.pl" ],
        output  => $how{output},
        stdin   => 1,
        stdout  => 1,
    );
    my $self = bless {%how, process => $process}, $class;

    local $SIG{PIPE} = 'IGNORE';
    print { $process->stdin }
        encode_json({ tls => $how{tls}, expect => $how{expect} }), "\n";

    my $ready = $process->line(START_DEADLINE);
    if (!defined $ready) {
        $self->stop;
        die "simulator $how{name} did not start, see $how{output}\n";
    }
    $self->{ready} = decode_json($ready);

    return $self;
}


sub name     { $_[0]{name} }
sub provider { $_[0]{provider} }
sub tls      { defined $_[0]{tls} }
sub limits   { $_[0]{limits} }
sub host     {"$_[0]{provider}.test"}
sub port     { $_[0]{ready}{port} }
sub address  { '127.0.0.1:' . $_[0]->port }
sub pid      { $_[0]{process}->pid }


sub _control {
    my ($self, $method, $uri, $data) = @_;

    my $r = request(
        $method, $uri,
        port    => $self->{ready}{control},
        timeout => 30,
        headers => [ [ Connection => 'close' ] ],
        defined $data ? (body => encode_json($data)) : (),
    );
    die "simulator $self->{name}: ", $r->error // $r->body, "\n"
        if $r->status != 200;
    return $r->json;
}


sub requests {
    my $self = shift;

    my $requests = $self->_control(GET => '/requests');
    for my $request (@$requests) {
        for (qw(raw body)) {
            $request->{$_} = decode_base64($request->{$_})
                if defined $request->{$_};
        }
    }
    return $requests;
}


sub last_request { return $_[0]->requests->[-1] }


sub wait_requests {
    my ($self, $n) = @_;

    wait_until(WAIT_DEADLINE, sub { @{ $self->requests } >= $n });
    return $self->requests;
}


sub header {
    my ($self, $request, $name) = @_;

    return map { $_->[1] }
        grep { lc $_->[0] eq lc $name } @{ $request->{headers} };
}


sub clear { $_[0]->_control(POST => '/clear', {}); return $_[0] }


sub record {
    my ($self, $keep) = @_;
    $self->_control(POST => '/record', { keep => $keep });
    return $self;
}


sub series { return $_[0]->_control(GET => '/series') }


sub count_by {
    my ($self, @what) = @_;
    return $self->_control(POST => '/count_by',
        { @what == 1 ? (header => @what) : @what });
}


sub limit {
    my ($self, %how) = @_;
    $self->_control(POST => '/limit', \%how);
    return $self;
}


sub limited     { return $_[0]->_control(GET => '/limit') }
sub connections { return $_[0]->_control(GET => '/connections')->{accepted} }
sub handshakes  { return $_[0]->_control(GET => '/connections')->{handshakes} }
sub bytes       { return $_[0]->_control(GET => '/connections')->{bytes} }
sub open_connections { return $_[0]->_control(GET => '/connections')->{open} }


sub misbehave {
    my ($self, %rule) = @_;

    if (exists $rule{json}) {
        $rule{body} = encode_json(delete $rule{json});
        push @{ $rule{headers} }, [ 'Content-Type', 'application/json' ];
    }
    for (qw(body raw)) {
        $rule{$_} = encode_base64($rule{$_}, '') if defined $rule{$_};
        die "a $_ of this size is not kept: say body_size\n"
            if length($rule{$_} // '') > 1_040_000;
    }
    $rule{match} = "$rule{match}" if defined $rule{match};

    die "a rule without a member removes all rules: say behave\n" if !%rule;
    $self->_control(POST => '/misbehave', \%rule);
    return $self;
}


sub behave { $_[0]->_control(POST => '/misbehave', {}); return $_[0] }


sub release {
    my ($self, $n) = @_;
    $self->_control(POST => '/release', defined $n ? { number => $n } : {});
    return $self;
}


sub expect {
    my ($self, %expect) = @_;
    $self->_control(POST => '/expect', \%expect);
    return $self;
}


sub act {
    my ($self, %what) = @_;
    return $self->_control(POST => '/act', \%what);
}


# The end of its stdin is the simulator's end too.
sub stop {
    my $self = shift;
    return $self->{process}->stop(TERM => STOP_DEADLINE);
}


1;
