#!/usr/bin/env perl

# PassportReader: POST /api/v1/session.create, session.get, session.state.
# Ids are 64-bit and above 2**53, so that a double on the way would show.
# act: {"id", "state"}

use Mojo::Base -strict, -signatures;
use B ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use Idpay::Sim;
use Mojo::JSON qw(false true);
use Mojo::Util qw(b64_decode b64_encode sha1_sum);

my %sessions;
my $last = 9_007_199_254_740_992;

my @states = qw(CREATED INITIATED FAILED ABORTED COMPLETED REJECTED APPROVED);

my %person = (
    given_names     => 'ANNA MARIA',
    surname         => 'ERIKSSON',
    nationality     => 'SE',
    sex             => 'F',
    date_of_birth   => '1974-08-12',
    personal_number => '740812-1234',
    document_type   => 'PASSPORT',
    document_number => 'L898902C3',
    expiry_date     => '2031-04-15',
    issuing_country => 'SE',
    issuer          => 'POLISMYNDIGHETEN',
    portrait        => b64_encode('portrait' x 64, ''),
    face            => b64_encode('face' x 64,     ''),
);


sub problem ($status, $name, $message) {
    return {
        status => $status,
        json   => { error_message => $message, error_name => $name },
    };
}


# JSON's own types: "1" is no integer and 1 is no string.
sub type_of ($value) {
    return 'null'        if !defined $value;
    return lc ref $value if ref $value eq 'HASH' || ref $value eq 'ARRAY';
    return 'boolean'     if ref $value;

    my $flags = B::svref_2object(\$value)->FLAGS;
    return 'string'  if $flags & B::SVp_POK && !($flags & B::SVp_IOK);
    return 'integer' if $flags & B::SVp_IOK;
    return 'number';
}


my %types = (
    callback_url      => 'string',
    face_verification => 'boolean',
    reference         => 'string',
    id                => 'integer',
);

my %method = (
    create => sub ($body) {
        my $id    = ++$last;
        my $token = 'i_' . substr sha1_sum("session $id"), 0, 20;

        $sessions{$id} = {
            id         => $id,
            created    => '2024-01-27T00:00:00Z',
            expires    => '2024-01-28T00:00:00Z',
            state      => 'CREATED',
            reference  => $body->{reference} // '',
            user_ip    => '192.0.2.42',
            user_agent => '',
            map { $_ => '' } keys %person,
        };
        return { json => { id => $id, token => $token } };
    },
    get => sub ($body) {
        return with_session($body, sub ($session) { $session });
    },
    state => sub ($body) {
        return with_session($body,
            sub ($session) { return { state => $session->{state} } });
    },
);


sub with_session ($body, $view) {
    my $id = $body->{id};

    return problem(400, 'MissingProperty', 'Missing property: id')
        if !defined $id;

    my $session = $sessions{$id}
        or return problem(404, 'SessionNotFound',
        "No session found with id: $id");
    return { json => $view->($session) };
}


sub authenticated ($sim, $r) {
    my @values = $r->header('Authorization');

    return 0 if @values != 1 || $values[0] !~ /^Basic ([A-Za-z0-9+\/]+=*)$/;

    my ($key, $secret) = split /:/, b64_decode($1), 2;
    return $sim->accepts(passportreader_public_key => $key // '')
        && $sim->accepts(passportreader_secret => $secret // '');
}


sub handle ($sim, $r) {
    if (!authenticated($sim, $r)) {
        my $answer = problem(401, 'Unauthorized',
            'No valid API credentials were provided');
        $answer->{headers}
            = [ [ 'WWW-Authenticate', 'Basic realm="passportreader"' ] ];
        return $answer;
    }

    my ($name) = $r->path =~ m{^/api/v1/session\.(\w+)$};
    my $method = defined $name && $method{$name}
        or return problem(404, 'MethodNotFound', 'No such method');
    return problem(405, 'MethodNotAllowed', 'All requests must be POST')
        if $r->method ne 'POST';

    my $body = length $r->body ? $r->json : {};
    return problem(400, 'InvalidBody', 'The body must be a JSON object')
        if ref $body ne 'HASH';

    for (grep { exists $body->{$_} } sort keys %types) {
        return problem(400, 'InvalidType', "Property $_ must be $types{$_}")
            if type_of($body->{$_}) ne $types{$_};
    }
    return $method->($body);
}


sub act ($sim, $what) {
    my $session = $sessions{ $what->{id} } or die "no session $what->{id}\n";

    die "no state $what->{state}\n" if !grep { $_ eq $what->{state} } @states;

    $session->{state} = $what->{state};
    %$session = (%$session, %person) if $what->{state} eq 'APPROVED';
    return $session;
}


Idpay::Sim->run(
    handler => \&handle,
    act     => \&act,
);
